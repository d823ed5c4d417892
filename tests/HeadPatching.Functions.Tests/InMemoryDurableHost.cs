using DurableTask.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;
using Microsoft.DurableTask.Testing;
using Microsoft.DurableTask.Testing.Sidecar;
using Microsoft.DurableTask.Testing.Sidecar.Grpc;
using Microsoft.DurableTask.Worker;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace HeadPatching.Functions.Tests;

/// <summary>
/// <see cref="DurableTaskTestHost"/> as it starts itself, but for the number of activities at once: that looks for a free place twice a second
/// and has as many places as there are cores, so that some hundred activities would take minutes.
/// </summary>
internal static class InMemoryDurableHost
{
    public static async Task<DurableTaskTestHost> StartAsync(int activitiesAtOnce, Action<DurableTaskRegistry> registry)
    {
        var backend = new Backend(activitiesAtOnce);
        WebApplicationBuilder server = WebApplication.CreateBuilder();
        server.Logging.ClearProviders();
        server.WebHost.UseUrls("http://127.0.0.1:0").ConfigureKestrel(options => options.ConfigureEndpointDefaults(listen => listen.Protocols = HttpProtocols.Http2));
        server.Services.AddGrpc();
        server.Services.AddSingleton<IOrchestrationService>(backend).AddSingleton<IOrchestrationServiceClient>(backend).AddSingleton<TaskHubGrpcServer>();
        WebApplication backendHost = server.Build();
        backendHost.MapGrpcService<TaskHubGrpcServer>();
        await backendHost.StartAsync();

        var channel = GrpcChannel.ForAddress(backendHost.Urls.Single());
        HostApplicationBuilder worker = Host.CreateApplicationBuilder();
        worker.Logging.ClearProviders();
        worker.Services.AddDurableTaskWorker(builder => builder.UseGrpc(channel).AddTasks(registry));
        worker.Services.AddDurableTaskClient(builder => builder.UseGrpc(channel).RegisterDirectly());
        IHost workerHost = worker.Build();
        await workerHost.StartAsync();
        return new DurableTaskTestHost(backendHost, workerHost, channel, workerHost.Services.GetRequiredService<DurableTaskClient>());
    }

    private sealed class Backend(int activitiesAtOnce) : InMemoryOrchestrationService, IOrchestrationService
    {
        int IOrchestrationService.MaxConcurrentTaskActivityWorkItems => activitiesAtOnce;
    }
}
