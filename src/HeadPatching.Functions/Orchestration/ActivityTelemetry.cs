using System.Diagnostics;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Azure.Functions.Worker.Middleware;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Logging;

namespace HeadPatching.Functions.Orchestration;

/// <summary>A span and a line of the log for each activity of a sweep, as the in-process engine has them, in the trace of the call that asked for the sweep.</summary>
public sealed partial class ActivityTelemetry : IFunctionsWorkerMiddleware
{
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(10);

    private readonly IArtifactStore _store;
    private readonly IMemoryCache _traces;
    private readonly ILogger<ActivityTelemetry> _logger;

    /// <summary>Makes the middleware.</summary>
    public ActivityTelemetry(IArtifactStore store, IMemoryCache traces, ILogger<ActivityTelemetry> logger)
    {
        _store = store;
        _traces = traces;
        _logger = logger;
    }

    /// <inheritdoc/>
    public async Task Invoke(FunctionContext context, FunctionExecutionDelegate next)
    {
        BindingMetadata? trigger = context.FunctionDefinition.InputBindings.Values
            .FirstOrDefault(binding => string.Equals(binding.Type, "activityTrigger", StringComparison.OrdinalIgnoreCase));
        if (trigger is null || (await context.BindInputAsync<ActivityInput>(trigger)).Value is not ActivityInput input)
        {
            await next(context);
            return;
        }

        string name = context.FunctionDefinition.Name;
        ActivityContext trace = await TraceAsync(input.SweepId);
        Activity? invocation = Activity.Current; // the worker's own span, where the host's spans reach it
        using Activity? span = SweepTelemetry.StartActivity(
            name, input.SweepId, input.Part, invocation?.TraceId == trace.TraceId ? invocation.Context : trace);
        long started = Stopwatch.GetTimestamp();
        try
        {
            await next(context);
        }
        catch (Exception e)
        {
            span?.SetStatus(ActivityStatusCode.Error, e.Message); // the worker logs it
            throw;
        }

        if (context.GetInvocationResult().Value is Served { TurnedAway: true })
        {
            span?.SetTag("headpatching.turned_away", true);
            return;
        }

        ActivityDone(_logger, name, input.SweepId, input.Part, Stopwatch.GetElapsedTime(started).TotalSeconds);
    }

    // The request says it. The durable extension's own spans cannot be relied on for that: they need a listener within the host.
    private async Task<ActivityContext> TraceAsync(string sweepId) =>
        await _traces.GetOrCreateAsync(sweepId, async entry =>
        {
            entry.SlidingExpiration = Remembered;
            var request = await _store.ReadJsonAsync<StoredRequest>(SweepArtifacts.Request(sweepId));
            return ActivityContext.TryParse(request?.TraceParent, null, isRemote: true, out ActivityContext trace) ? trace : default;
        });

    [LoggerMessage(1, LogLevel.Information, "{Activity} of sweep {SweepId} (part {Part}) done in {Seconds:F2} s")]
    private static partial void ActivityDone(ILogger logger, string activity, string sweepId, int part, double seconds);
}
