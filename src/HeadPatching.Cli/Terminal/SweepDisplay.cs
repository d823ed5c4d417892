using System.Globalization;
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
            $"{plan.Model.Name}: {plan.Model.Layers} layers x {plan.Model.Heads} heads, {plan.Model.Dtype} on {plan.Model.Device}. {plan.Dataset}: {plan.PairCount} pairs. {SweepTitle.Of(plan.Request.Patch, plan.Request.Ablation, plan.Request.Receivers, plan.Request.Method)}; positions {plan.Request.Positions}, {plan.Request.RunPatched().NameOf()}. Metric: {plan.Request.Measured().NameOf()}."));
        return AnsiConsole.Profile.Out.IsTerminal ? await OnTerminalAsync(engine, plan, run) : await InLinesAsync(engine, plan, run);
    }

    private static async Task<SweepStatus> OnTerminalAsync(InProcessEngine engine, SweepPlan plan, Func<Task<SweepStatus>> run)
    {
        var pace = new SweepPace(plan.Size.PatchedRuns, TimeProvider.System);
        ProgressColumn[] columns =
        [
            new TaskDescriptionColumn { Alignment = Justify.Left },
            new ProgressBarColumn(),
            new PercentageColumn(),
            new TextColumn(() => string.Create(CultureInfo.InvariantCulture, $"{pace.RunsASecond,6:F0} heads/s")),
            new TextColumn(() => pace.Left is TimeSpan left ? string.Create(CultureInfo.InvariantCulture, $@"{left:h\:mm\:ss} left") : ""),
        ];
        return await AnsiConsole.Progress().Columns(columns).StartAsync(async display =>
        {
            ProgressTask bar = display.AddTask("planning", maxValue: 1);
            void Follow(SweepStatus status)
            {
                bar.Description = status.Progress.Phase.ToString().ToLowerInvariant();
                pace.At(status.Progress);
                bar.Value = pace.Done;
            }

            void Made(long runs)
            {
                pace.Made(runs);
                bar.Value = pace.Done;
            }

            engine.Changed += Follow;
            engine.PatchedRunsMade += Made;
            try
            {
                return await run();
            }
            finally
            {
                engine.Changed -= Follow;
                engine.PatchedRunsMade -= Made;
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

    private sealed class TextColumn(Func<string> text) : ProgressColumn
    {
        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime) => new Text(text());
    }
}
