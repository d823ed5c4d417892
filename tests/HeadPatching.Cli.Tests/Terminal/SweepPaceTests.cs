using HeadPatching.Cli.Terminal;
using HeadPatching.Sweeps.Workflow;

namespace HeadPatching.Cli.Tests.Terminal;

public class SweepPaceTests
{
    private readonly Clock _clock = new();

    [Fact]
    public void The_time_left_follows_from_the_patched_runs_made_so_far()
    {
        SweepPace pace = Of(patchedRuns: 1000);
        pace.At(new SweepProgress(SweepPhase.Patching, TasksTotal: 10));
        _clock.Pass(10);
        pace.Made(200);

        Assert.Equal(0.2, pace.Done, 1e-9);
        Assert.Equal(20, pace.RunsASecond, 1e-9);
        Assert.Equal(40, pace.Left!.Value.TotalSeconds, 1e-6);

        _clock.Pass(40);
        pace.Made(800);
        Assert.Equal((1, TimeSpan.Zero), (pace.Done, pace.Left));
    }

    [Fact]
    public void Planning_is_no_part_of_the_pace()
    {
        SweepPace pace = Of(patchedRuns: 1000);
        pace.At(new SweepProgress(SweepPhase.Planning));
        _clock.Pass(100); // as where a model is downloaded first
        pace.At(new SweepProgress(SweepPhase.Patching, TasksTotal: 10));
        _clock.Pass(10);
        pace.Made(500);

        Assert.Equal(50, pace.RunsASecond, 1e-9);
        Assert.Equal(10, pace.Left!.Value.TotalSeconds, 1e-6);
    }

    [Fact]
    public void What_the_store_had_already_is_done_and_says_nothing_of_the_pace()
    {
        SweepPace pace = Of(patchedRuns: 1000);
        pace.At(new SweepProgress(SweepPhase.Patching, TasksDone: 6, TasksTotal: 10, TasksReused: 6));
        Assert.Equal(0.6, pace.Done, 1e-9);
        Assert.Null(pace.Left);
        _clock.Pass(10);
        pace.Made(100);

        Assert.Equal(0.7, pace.Done, 1e-9);
        Assert.Equal(30, pace.Left!.Value.TotalSeconds, 1e-6); // three tenths at a tenth in ten seconds
    }

    [Fact]
    public void Before_a_hundredth_is_made_no_time_is_told()
    {
        SweepPace pace = Of(patchedRuns: 1000);
        pace.At(new SweepProgress(SweepPhase.Patching, TasksTotal: 10));
        _clock.Pass(10);
        pace.Made(9);
        Assert.Null(pace.Left);
        pace.Made(1);
        Assert.Equal(990, pace.Left!.Value.TotalSeconds, 1e-6);
    }

    [Fact]
    public void Where_all_is_estimated_the_chunks_are_what_is_done()
    {
        SweepPace pace = Of(patchedRuns: 0);
        pace.At(new SweepProgress(SweepPhase.Estimating, ChunksTotal: 8));
        _clock.Pass(6);
        pace.At(new SweepProgress(SweepPhase.Estimating, ChunksTotal: 8, ChunksEstimated: 2));

        Assert.Equal(0.25, pace.Done, 1e-9);
        Assert.Equal(18, pace.Left!.Value.TotalSeconds, 1e-6);
    }

    private SweepPace Of(long patchedRuns) => new(patchedRuns, _clock);

    private sealed class Clock : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Pass(double seconds) => _ticks += (long)(seconds * TimeSpan.TicksPerSecond);
    }
}
