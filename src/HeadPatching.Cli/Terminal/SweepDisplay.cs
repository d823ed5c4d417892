using System.Globalization;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Workflow;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace HeadPatching.Cli.Terminal;

/// <summary>Shows a running sweep: a bar with patched runs a second and time left on a terminal, plain lines where standard error is redirected.</summary>
internal static class SweepDisplay
{
    private const int WidthBesideBar = 52, NarrowestBar = 10, WidestBar = 40;

    /// <summary>What is swept, in a line.</summary>
    public static string Heading(SweepPlan plan) => FormattableString.Invariant(
        $"{plan.Model.Name}: {plan.Model.Layers} layers x {plan.Model.Heads} heads, {plan.Model.Dtype} on {plan.Model.Device}. {plan.Dataset}: {plan.PairCount} pairs. {SweepTitle.Of(plan.Request.Patch, plan.Request.Ablation, plan.Request.Receivers, plan.Request.Method)}; positions {plan.Request.Positions}, {plan.Request.RunPatched().NameOf()}. Metric: {plan.Request.Measured().NameOf()}.");

    /// <summary>Runs a sweep and shows it.</summary>
    public static Task<SweepStatus> RunAsync(InProcessEngine engine, SweepPlan plan, Func<Task<SweepStatus>> run) =>
        Notes.AreOnTerminal ? OnTerminalAsync(engine, plan, run) : InLinesAsync(engine, run);

    private static async Task<SweepStatus> OnTerminalAsync(InProcessEngine engine, SweepPlan plan, Func<Task<SweepStatus>> run)
    {
        var pace = new SweepPace(plan.Size.Flops, TimeProvider.System);
        SweepPhase phase = SweepPhase.Planning;
        ProgressColumn[] columns =
        [
            new TaskDescriptionColumn { Alignment = Justify.Left },
            new ProgressBarColumn { Width = Math.Clamp(Notes.Console.Profile.Width - WidthBesideBar, NarrowestBar, WidestBar) },
            new PercentageColumn(),
            new TextColumn(() => pace.RunsASecond >= 1 ? string.Create(CultureInfo.InvariantCulture, $"{pace.RunsASecond:N0} runs/s") : ""),
            new TextColumn(() => phase < SweepPhase.Assembling && pace.Left is TimeSpan left ? string.Create(CultureInfo.InvariantCulture, $@"{left:h\:mm\:ss} left") : ""),
        ];
        return await Notes.Console.Progress().Columns(columns).StartAsync(async display =>
        {
            ProgressTask bar = display.AddTask("starting", maxValue: 1);
            bar.IsIndeterminate = true;
            void Follow(SweepStatus status)
            {
                phase = status.Progress.Phase;
                pace.At(status.Progress);
                bar.Description = phase == SweepPhase.Planning ? "starting"
                    : status.Progress is { Phase: SweepPhase.Patching, HeadsTotal: > 0 and int heads, HeadsDecided: var decided } ? FormattableString.Invariant($"{decided}/{heads} heads")
                    : phase.NameOf().Replace('-', ' ');
                Show();
            }

            void Made(WorkStep step)
            {
                pace.Made(step);
                Show();
            }

            void Show()
            {
                bar.IsIndeterminate = pace.IsAtStart && phase < SweepPhase.Assembling;
                bar.Value = phase == SweepPhase.Done ? 1 : pace.Done;
            }

            engine.Changed += Follow;
            engine.WorkDone += Made;
            try
            {
                return await run();
            }
            finally
            {
                engine.Changed -= Follow;
                engine.WorkDone -= Made;
            }
        });
    }

    private static async Task<SweepStatus> InLinesAsync(InProcessEngine engine, Func<Task<SweepStatus>> run)
    {
        var phase = (SweepPhase?)null;
        int tenth = 0;
        void Follow(SweepStatus status)
        {
            SweepProgress progress = status.Progress;
            bool decides = progress.HeadsTotal > 0;
            int tenths = decides ? progress.HeadsDecided : progress.TasksTotal == 0 ? 0 : 10 * progress.TasksDone / progress.TasksTotal;
            if (progress.Phase != phase || tenths != tenth)
            {
                (phase, tenth) = (progress.Phase, tenths);
                Notes.Say(progress.Phase != SweepPhase.Patching || (!decides && progress.TasksTotal == 0) ? progress.Phase.NameOf().Replace('-', ' ')
                    : decides ? FormattableString.Invariant($"patching: {progress.HeadsDecided} of {progress.HeadsTotal} heads decided by {progress.RunsMade:N0} of {progress.RunsOfExact:N0} runs")
                    : FormattableString.Invariant($"patching: {10 * tenths} %"));
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
        protected override bool NoWrap => true;

        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime) => new Text(text());
    }
}
