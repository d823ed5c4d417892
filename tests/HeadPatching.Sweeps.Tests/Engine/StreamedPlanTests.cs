using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Sweeps.Tests.Engine;

/// <summary>What the plan of a sweep with streamed weights says of their passes; that so many are made is held where the library is tested.</summary>
public class StreamedPlanTests
{
    public static TheoryData<SweepRequest, int> RequestsAndPasses { get; } = new()
    {
        { new SweepRequest(), 1 },
        { new SweepRequest { Direction = Direction.Noise, Ablation = Ablation.Zero }, 1 },
        { new SweepRequest { Direction = Direction.Noise, Ablation = Ablation.Mean }, 3 },
        { new SweepRequest { Direction = Direction.Noise, Ablation = Ablation.Resample }, 3 },
        { new SweepRequest { Receivers = [Receiver.Of(2, 0, ReceiverInput.V)] }, 1 },
        { new SweepRequest { Method = Method.Attribution }, 3 },
        { new SweepRequest { Method = Method.Attribution, Patch = Patch.K }, 4 },
        { new SweepRequest { Method = Method.Screen }, 4 },
        { new SweepRequest { Method = Method.Adaptive }, 4 },
        { new SweepRequest { Method = Method.Adaptive, Metric = Metric.Rank }, 2 },
    };

    [Theory]
    [MemberData(nameof(RequestsAndPasses))]
    public async Task It_says_how_often_the_weights_are_read_for_a_chunk(SweepRequest request, int passes)
    {
        PlanSize streamed = await SizeAsync(request with { Weights = WeightPlace.Streamed }), resident = await SizeAsync(request with { Weights = WeightPlace.Resident });
        Assert.Equal((passes, 1), (streamed.Memory!.Passes, resident.Memory!.Passes));
    }

    private static async Task<PlanSize> SizeAsync(SweepRequest request) =>
        (await SweepPlanner.PlanAsync(request, DateTimeOffset.UnixEpoch, new ModelCatalog(), FaultPlaces.JsonPaths, TestContext.Current.CancellationToken)).Header.Size;
}
