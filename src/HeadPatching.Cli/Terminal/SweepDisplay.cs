using System.Diagnostics;
using System.Globalization;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Workflow;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace HeadPatching.Cli.Terminal;

/// <summary>Shows a running sweep: a bar with heads a second and time left on a terminal, plain lines where output is redirected.</summary>
internal static class SweepDisplay
{
    /// <summary>Runs a sweep and shows it.</summary>
    public static async Task<SweepStatus> RunAsync(InProcessEngine engine, SweepPlan plan, Func<Task<SweepStatus>> run)
    {
        AnsiConsole.WriteLine(FormattableString.Invariant(
            $"{plan.Model.Name}: {plan.Model.Layers} layers x {plan.Model.Heads} heads, {plan.Model.Dtype} on {plan.Model.Device}. {plan.Dataset}: {plan.PairCount} pairs. {SweepTitle.Of(plan.Request.Patch, plan.Request.Ablation, plan.Request.Receivers, plan.Request.Method)}; positions {plan.Request.Positions}, {plan.Request.RunPatched().NameOf()}. Metric: {plan.Request.Metric.NameOf()}."));
        return AnsiConsole.Profile.Out.IsTerminal ? await OnTerminalAsync(engine, plan, run) : await InLinesAsync(engine, plan, run);
    }

    private static async Task<SweepStatus> OnTerminalAsync(InProcessEngine engine, SweepPlan plan, Func<Task<SweepStatus>> run)
    {
        var rate = new RateColumn();
        ProgressColumn[] columns =
            [new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), rate, new RemainingTimeColumn()];
        return await AnsiConsole.Progress().Columns(columns).StartAsync(async display =>
        {
            ProgressTask bar = display.AddTask("planning", maxValue: plan.Size.Runs);
            void Follow(SweepStatus status)
            {
                bar.Description = status.Progress.Phase.ToString().ToLowerInvariant();
                bar.MaxValue = Math.Max(1, Total(plan, status.Progress));
                bar.Value = status.Progress.ChunksEstimated + status.Progress.TasksDone;
            }

            engine.Changed += Follow;
            engine.PatchedRunsMade += rate.Add;
            try
            {
                return await run();
            }
            finally
            {
                engine.Changed -= Follow;
                engine.PatchedRunsMade -= rate.Add;
            }
        });
    }

    private static async Task<SweepStatus> InLinesAsync(InProcessEngine engine, SweepPlan plan, Func<Task<SweepStatus>> run)
    {
        var phase = (SweepPhase?)null;
        int tenth = 0;
        void Follow(SweepStatus status)
        {
            SweepProgress progress = status.Progress;
            int tenths = progress.TasksTotal == 0 ? 0 : 10 * progress.TasksDone / progress.TasksTotal;
            if (progress.Phase != phase || tenths != tenth)
            {
                (phase, tenth) = (progress.Phase, tenths);
                string what = progress.Phase == SweepPhase.Patching
                    ? FormattableString.Invariant($"patching: {10 * tenths} %")
                    : progress.Phase.ToString().ToLowerInvariant();
                Console.WriteLine(what);
            }
        }

        engine.Changed += Follow;
        try
        {
            return await run();
        }
        finally
        {
            engine.Changed -= Follow;
        }
    }

    /// <summary>What there is to do: each chunk's estimates, and each run of a band of layers over a chunk.</summary>
    private static int Total(SweepPlan plan, SweepProgress progress) =>
        progress.TasksTotal + (plan.Request.Method == Method.Exact ? 0 : progress.ChunksTotal);

    /// <summary>Patched runs (one head on one pair) a second.</summary>
    private sealed class RateColumn : ProgressColumn
    {
        private readonly long _started = Stopwatch.GetTimestamp();
        private long _runs;

        public void Add(long runs) => Interlocked.Add(ref _runs, runs);

        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime)
        {
            double rate = Interlocked.Read(ref _runs) / Stopwatch.GetElapsedTime(_started).TotalSeconds;
            return new Text(string.Create(CultureInfo.InvariantCulture, $"{rate,6:F0} heads/s"));
        }
    }
}
