using HeadPatching.Core.Faults;
using HeadPatching.Core.Native;
using HeadPatching.Functions;
using HeadPatching.Functions.Orchestration;
using HeadPatching.Functions.Triggers;
using HeadPatching.Http.Following;
using HeadPatching.Http.Requests;
using HeadPatching.Http.Serving;
using HeadPatching.Reports;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Callbacks;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.Azure.Functions.Worker.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

try
{
    FunctionsApplicationBuilder builder = FunctionsApplication.CreateBuilder(args);
    builder.ConfigureFunctionsWebApplication();
    builder.UseMiddleware<ActivityTelemetry>();
    builder.UseMiddleware<CompressedAnswers>();

    LibTorch.Load();
    AppSettings settings = AppSettings.Read(builder.Configuration);
    Telemetry.Add(builder.Services, builder.Configuration, settings);
    builder.Services.AddMemoryCache();
    builder.Services.AddResponseCompression(Compression.Configure);
    builder.Services.AddSingleton(settings);
    builder.Services.AddSingleton(_ => settings.OpenStore());
    builder.Services.AddSingleton(services => settings.OpenModelCache(services.GetRequiredService<ILogger<ModelCache>>()));
    builder.Services.AddSingleton<StoredModels>();
    builder.Services.AddSingleton<IModelCatalog>(services => new ModelCatalog(settings.Models, stored: services.GetRequiredService<StoredModels>()));
    builder.Services.AddSingleton(TimeProvider.System);
    builder.Services.AddSingleton(services => new SweepList(services.GetRequiredService<IArtifactStore>(), services.GetRequiredService<TimeProvider>()));
    builder.Services.AddSingleton(services => new LoadedModels(
        services.GetRequiredService<IModelCatalog>(),
        threads: settings.TorchThreads > 0 ? settings.TorchThreads : Math.Max(1, Environment.ProcessorCount / settings.ActivitiesAtOnce)));
    builder.Services.AddSingleton(services => new FairSlots(settings.ActivitiesAtOnce, services.GetRequiredService<TimeProvider>()));
    builder.Services.AddSingleton(ReportFiles.All);
    builder.Services.AddSingleton<ActivityTable>();
    builder.Services.AddSingleton(services => services.GetRequiredService<ActivityTable>().Patterns);
    builder.Services.AddSingleton(new RequestLimits());
    builder.Services.AddSingleton<BodyBudget>();
    builder.Services.AddSingleton<SweepDigests>();
    builder.Services.AddSingleton(settings.CallbackHosts);
    CallbackSender? callbacks = settings.OpenCallbackSender();
    builder.Services.AddSingleton(services => new CallbackDeliveries(
        services.GetRequiredService<IArtifactStore>(),
        callbacks,
        services.GetRequiredService<TimeProvider>(),
        services.GetRequiredService<ILogger<CallbackDeliveries>>()));
    builder.Services.AddSingleton(services => new WatchPlaces(
        services.GetRequiredService<RequestLimits>(), services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping));
    builder.Services.AddSingleton<DurableHandlers>();

    IHost host = builder.Build();
    await host.Services.GetRequiredService<IArtifactStore>().CheckAsync();
    await host.RunAsync();
    return 0;
}
catch (InvalidInputException e)
{
    // A setting that cannot be, or a store that cannot be reached: the Functions host logs what its worker writes here.
    foreach (Fault fault in e.Faults)
    {
        await Console.Error.WriteLineAsync(fault.ToString());
    }

    return 2;
}
