using HeadPatching.Cli.Terminal;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Workflow;

namespace HeadPatching.Cli.Tests.Terminal;

public class SweepPaceTests
{
    private readonly Clock _clock = new();

    [Fact]
    public void The_time_left_follows_from_the_operations_made_so_far()
    {
        SweepPace pace = Of(flops: 1000);
        pace.At(new SweepProgress(SweepPhase.Patching, TasksTotal: 10));
        _clock.Pass(10);
        pace.Made(new WorkStep(200, PatchedRuns: 50));

        Assert.Equal(0.2, pace.Done, 1e-9);
        Assert.Equal(5, pace.RunsASecond, 1e-9);
        Assert.Equal(40, pace.Left!.Value.TotalSeconds, 1e-6);

        _clock.Pass(40);
        pace.Made(new WorkStep(800, PatchedRuns: 50));
        Assert.Equal((1, TimeSpan.Zero), (pace.Done, pace.Left));
    }

    [Fact]
    public void Half_of_the_runs_are_not_half_of_the_time_where_late_layers_are_left()
    {
        SweepPace pace = Of(flops: 1000);
        pace.At(new SweepProgress(SweepPhase.Patching, TasksTotal: 2));
        _clock.Pass(9);
        pace.Made(new WorkStep(900, PatchedRuns: 100)); // the early layers: the other hundred runs are a tenth of the work

        Assert.Equal(0.9, pace.Done, 1e-9);
        Assert.Equal(1, pace.Left!.Value.TotalSeconds, 1e-6);
    }

    [Fact]
    public void Between_two_steps_the_time_left_runs_down_and_not_up()
    {
        SweepPace pace = Of(flops: 1000);
        pace.At(new SweepProgress(SweepPhase.Patching, TasksTotal: 2));
        _clock.Pass(10);
        pace.Made(new WorkStep(500));
        Assert.Equal(10, pace.Left!.Value.TotalSeconds, 1e-6);
        _clock.Pass(4);
        Assert.Equal(6, pace.Left!.Value.TotalSeconds, 1e-6);
        _clock.Pass(60);
        Assert.Equal(TimeSpan.Zero, pace.Left);
    }

    [Fact]
    public void It_moves_while_activations_are_cached()
    {
        SweepPace pace = Of(flops: 1000);
        pace.At(new SweepProgress(SweepPhase.Caching, ChunksTotal: 4, TasksTotal: 10));
        _clock.Pass(1);
        pace.Made(new WorkStep(50));
        Assert.Equal(0.05, pace.Done, 1e-9);
        Assert.Equal(19, pace.Left!.Value.TotalSeconds, 1e-6);
    }

    [Fact]
    public void Planning_is_no_part_of_the_pace()
    {
        SweepPace pace = Of(flops: 1000);
        pace.At(new SweepProgress(SweepPhase.Planning));
        _clock.Pass(100); // as where a model is downloaded first
        pace.At(new SweepProgress(SweepPhase.Patching, TasksTotal: 10));
        _clock.Pass(10);
        pace.Made(new WorkStep(500, PatchedRuns: 500));

        Assert.Equal(50, pace.RunsASecond, 1e-9);
        Assert.Equal(10, pace.Left!.Value.TotalSeconds, 1e-6);
    }

    [Fact]
    public void What_the_store_had_already_is_done_and_says_nothing_of_the_pace()
    {
        SweepPace pace = Of(flops: 1000);
        pace.At(new SweepProgress(SweepPhase.Patching, TasksTotal: 10));
        pace.Made(new WorkStep(600, Found: true));
        Assert.Equal(0.6, pace.Done, 1e-9);
        Assert.Null(pace.Left);
        _clock.Pass(10);
        pace.Made(new WorkStep(100));

        Assert.Equal(0.7, pace.Done, 1e-9);
        Assert.Equal(30, pace.Left!.Value.TotalSeconds, 1e-6); // three tenths at a tenth in ten seconds
    }

    [Fact]
    public void Before_a_hundredth_is_made_no_time_is_told()
    {
        SweepPace pace = Of(flops: 1000);
        pace.At(new SweepProgress(SweepPhase.Patching, TasksTotal: 10));
        _clock.Pass(10);
        pace.Made(new WorkStep(5));
        Assert.Null(pace.Left);
        pace.Made(new WorkStep(5));
        Assert.NotNull(pace.Left);
    }

    [Fact]
    public void A_sweep_that_another_process_runs_moves_by_its_runs()
    {
        SweepPace pace = Of(flops: 1000);
        pace.At(new SweepProgress(SweepPhase.Patching, TasksDone: 4, TasksTotal: 10));
        Assert.Equal(0.4, pace.Done, 1e-9);
        Assert.Null(pace.Left); // what was done before it was looked at says nothing of the pace
        _clock.Pass(6);
        pace.At(new SweepProgress(SweepPhase.Patching, TasksDone: 6, TasksTotal: 10));
        Assert.Equal(0.6, pace.Done, 1e-9);
        Assert.Equal(12, pace.Left!.Value.TotalSeconds, 1e-6);
    }

    private SweepPace Of(double flops) => new(flops, _clock);

    private sealed class Clock : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Pass(double seconds) => _ticks += (long)(seconds * TimeSpan.TicksPerSecond);
    }
}
