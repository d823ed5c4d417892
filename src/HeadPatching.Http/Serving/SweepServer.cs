using System.Net.Sockets;
using HeadPatching.Core.Faults;
using HeadPatching.Http.Pages;
using HeadPatching.Http.Problems;
using HeadPatching.Http.Requests;
using HeadPatching.Reports;
using HeadPatching.Sweeps.Callbacks;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace HeadPatching.Http.Serving;

/// <summary>`headpatch serve`: the HTTP API over the in-process engine.</summary>
public static class SweepServer
{
    /// <summary>
    /// Serves until it is cancelled or the process is asked to end (Ctrl-C, SIGTERM); sweeps then stay as they are, and go on at the next start. It
    /// then lets go of its address, its store and its models: a process may have several servers, one after the other and side by side.
    /// </summary>
    /// <param name="options">What it is started with.</param>
    /// <param name="warn">Told what to know of how it is started.</param>
    /// <param name="listening">Told the addresses once it listens.</param>
    /// <param name="stop">Asks it to end, which then takes as long as it takes the process.</param>
    /// <exception cref="InvalidInputException">An option cannot be: the store cannot be written, an address is taken.</exception>
    public static async Task RunAsync(
        ServeOptions options, Action<string> warn, Action<IReadOnlyCollection<string>> listening, CancellationToken stop = default)
    {
        IReadOnlySet<string>? allowedHosts = ServeAddresses.AllowedHosts(options.Urls, options.AllowedHosts);
        IReadOnlySet<string> origins = ServeAddresses.Origins(options.CorsOrigins);
        CallbackHosts callbacks = CallbackHosts.Parse(options.CallbackHosts, "--callback-hosts");
        CallbackSender? sender = CallbackSender.Create(callbacks, options.CallbackSecret, ServeOptions.CallbackSecretVariable, TimeProvider.System);
        CheckModels(options.Models);
        IArtifactStore store = options.OpenStore();
        var catalog = new ModelCatalog(options.Models, stored: new StoredModels(store, new ModelCache(options.DownloadedModels)));
        await store.CheckAsync(stop);

        await using WebApplication app = Build(options, store, catalog, allowedHosts, origins, callbacks, sender);
        await StartAsync(app, options.Urls);
        if (ServeAddresses.Warning(options.Urls) is string warning)
        {
            warn(warning);
        }

        // Only who has the address takes up sweeps; and whoever asks meanwhile is answered.
        listening([.. app.Urls]);
        await app.Services.GetRequiredService<InProcessEngine>().ResumeAsync(app.Lifetime.ApplicationStopping);
        await app.WaitForShutdownAsync(stop);
    }

    private static WebApplication Build(
        ServeOptions options,
        IArtifactStore store,
        ModelCatalog catalog,
        IReadOnlySet<string>? allowedHosts,
        IReadOnlySet<string> origins,
        CallbackHosts callbacks,
        CallbackSender? sender)
    {
        // The content root is the program's own folder: settings that lie about where the user happens to be are none of ours.
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.WebHost.UseUrls([.. options.Urls]);
        builder.WebHost.ConfigureKestrel(server =>
        {
            server.AddServerHeader = false;
            server.Limits.MaxRequestBodySize = new RequestLimits().BodyBytes;
            server.Limits.MaxConcurrentConnections = options.MostConnections;

            // A body holds memory until all of it is there.
            server.Limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 16 << 10, gracePeriod: TimeSpan.FromSeconds(10));
        });
        Telemetry.Add(builder);

        // That it cannot start, such as on a port in use, is said in one line by whoever called; not before it with a stack trace.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        builder.Services.AddSweepApi();
        builder.Services.AddSingleton(callbacks);
        builder.Services.AddSingleton(services => new CallbackDeliveries(store, sender, TimeProvider.System, services.GetRequiredService<ILogger<CallbackDeliveries>>()));
        builder.Services.AddHostedService<CallbackService>();
        builder.Services.AddResponseCompression(Compression.Configure);
        builder.Services.AddCors(cors => cors.AddDefaultPolicy(CrossOrigin.Policy(origins)));
        builder.Services.AddSingleton<IModelCatalog>(catalog);
        builder.Services.AddSingleton(services => new InProcessEngine(
            store,
            catalog,
            ReportFiles.All,
            EngineOptionsOf(options),
            logger: services.GetRequiredService<ILogger<InProcessEngine>>()));
        builder.Services.AddSingleton<ISweepHost>(services => services.GetRequiredService<InProcessEngine>());
        builder.Services.AddSingleton(services => services.GetRequiredService<InProcessEngine>().Patterns);

        WebApplication app = builder.Build();
        app.UseExceptionHandler(failed => failed.Run(context =>
            Problem.OfStatus(StatusCodes.Status500InternalServerError).ExecuteAsync(context)));
        app.UseStatusCodePages(context => Problem.OfStatus(context.HttpContext.Response.StatusCode).ExecuteAsync(context.HttpContext));
        app.UseResponseCompression();
        app.Use(next => new SameSiteGuard(next, allowedHosts, origins).InvokeAsync);
        if (origins.Count > 0)
        {
            app.UseCors();
        }

        app.UseRouting();
        app.MapSweepApi();
        foreach (PageFile file in PageFile.All)
        {
            app.MapGet(file.Path, file.Answer).ExcludeFromDescription().AlsoHead();
        }

        return app;
    }

    private static EngineOptions EngineOptionsOf(ServeOptions options)
    {
        var defaults = new EngineOptions();
        return new EngineOptions { Parallelism = options.Parallelism ?? defaults.Parallelism, MostQueued = options.MostQueued ?? defaults.MostQueued };
    }

    private static async Task StartAsync(WebApplication app, IReadOnlyList<string> urls)
    {
        try
        {
            await app.StartAsync();
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw new InvalidInputException(
                FaultKinds.InvalidOption, "--urls", $"Cannot listen on {string.Join(", ", urls)}: {(e.GetBaseException() as SocketException ?? e).Message}.");
        }
    }

    private static void CheckModels(string? models)
    {
        if (models is not null && !Directory.Exists(models))
        {
            throw new InvalidInputException(FaultKinds.NotFound, "--models", $"There is no folder '{models}'.");
        }
    }
}
