using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>
/// Ablations of z held against plain runs of the whole model, a head at a time, in float64; what is put in is worked out here once more, prompt
/// by prompt, without sums.
/// </summary>
public sealed class AblationTests : IDisposable
{
    private const int Few = 5;
    private readonly GoldenModel _golden = new("gpt2-golden-b", ScalarType.Float64);

    public static TheoryData<string, Direction, bool> Sets { get; } =
    [
        .. from set in new[] { "one length", "mixed", "roles", "templates", "alone" }
           from direction in Enum.GetValues<Direction>()
           from references in new[] { false, true }
           select new TheoryDataRow<string, Direction, bool>(set, direction, references),
    ];

    [Theory]
    [MemberData(nameof(Sets))]
    public void A_mean_is_over_others_at_the_same_place_without_the_pair_itself(string set, Direction direction, bool references)
    {
        TokenPair[] pairs = Pairs(set);
        var options = new PatchOptions { Ablation = Ablation.Mean, Direction = direction, References = references ? References(set) : null };
        AssertPlain(pairs, options, (pair, z, _) =>
        {
            TokenPair own = pairs[pair];
            TokenPair[] others = Giving(pairs, options).Where(other => !Given(other, options).SequenceEqual(Patched(own, direction))).ToArray();
            TokenPair[] like = [.. others.Where(other => own.Template is not null && other.Template == own.Template)];
            return stack([.. Enumerable.Range(0, own.Length).Select(position =>
            {
                var places = Places(own, position, like.Length >= Few ? like : others);
                return stack([.. places.Select(place => z(Given(place.Pair, options))[TensorIndex.Colon, place.Position])]).mean([0]); // [heads, d_head]
            })], 1);
        });

        // Where each place of the others stands; roles first, then the end, then the beginning.
        static (TokenPair Pair, int Position)[] Places(TokenPair own, int position, TokenPair[] others)
        {
            string[] roles = [.. own.RolesInOrder().Where(role => role.Position == position).Select(role => role.Name)];
            (TokenPair, int)[][] ways =
            [
                .. roles.Select(role => others.Where(other => other.PositionOf(role) is not null).Select(other => (other, other.PositionOf(role)!.Value)).ToArray()),
                [.. others.Where(other => other.Length >= own.Length - position).Select(other => (other, other.Length - own.Length + position))],
                [.. others.Where(other => other.Length > position).Select(other => (other, position))],
            ];
            return ways.First(way => way.Length > 0);
        }
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public void Resampling_takes_another_prompts_z_at_the_same_place(string set, Direction direction, bool references)
    {
        TokenPair[] pairs = Pairs(set);
        var options = new PatchOptions { Ablation = Ablation.Resample, Direction = direction, References = references ? References(set) : null, Seed = 3 };
        var donors = new Dictionary<int, TokenPair>();
        AssertPlain(pairs, options, (pair, z, metric) =>
        {
            // Who gave is not looked up but found: one prompt explains every head of every layer.
            TokenPair own = pairs[pair];
            donors[pair] = Giving(pairs, options).First(other => !Given(other, options).SequenceEqual(Patched(own, direction)) && 2 * other.Length >= own.Length && metric(Taken(other)));
            return Taken(donors[pair]);

            Tensor Taken(TokenPair donor) => stack([.. Enumerable.Range(0, own.Length).Select(position => z(Given(donor, options))[TensorIndex.Colon, Place(donor, position)])], 1);

            int Place(TokenPair donor, int position)
            {
                string? role = own.RolesInOrder().Where(role => role.Position == position && donor.PositionOf(role.Name) is not null).Select(role => role.Name).FirstOrDefault();
                int fromEnd = position - own.Length + donor.Length;
                return role is not null ? donor.PositionOf(role)!.Value : fromEnd >= 0 ? fromEnd : position;
            }
        });
        foreach (var (pair, donor) in donors)
        {
            TokenPair[] giving = [.. Giving(pairs, options).Where(other => !Given(other, options).SequenceEqual(Patched(pairs[pair], direction)))];
            bool templated = pairs[pair].Template is string template && giving.Any(other => other.Template == template);
            Assert.True(!templated || donor.Template == pairs[pair].Template, $"pair {pair}");
            Assert.True(templated || donor.Length == pairs[pair].Length || giving.All(other => other.Length != pairs[pair].Length), $"pair {pair}");
        }

        if (!references && set == "one length")
        {
            Assert.Equal(pairs.Length, donors.Values.Select(donor => donor.Index).Distinct().Count()); // each gives once
        }
    }

    [Theory]
    [InlineData(Ablation.Zero)]
    [InlineData(Ablation.ValueBias)]
    public void Zero_is_of_z_itself_and_the_value_bias_is_what_zero_is_where_biases_are_folded(Ablation ablation)
    {
        TokenPair[] pairs = Pairs("mixed");
        var options = new PatchOptions { Ablation = ablation, Direction = Direction.Noise };
        Transformer model = _golden.Model;
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        if (ablation == Ablation.Zero)
        {
            AssertPlain(pairs, options, (pair, z, _) => zeros_like(z(pairs[pair].Clean)));
            return;
        }

        // The same model with each b_V moved into b_O, as TransformerLens does: there z is less by b_V, and zeros are put in.
        SweepResult result = ParityTests.Sweep(model, pairs, options);
        int width = model.Config.Width;
        foreach (LayerWeights layer in model.Weights.Layers)
        {
            Tensor valueBias = layer.QueryKeyValueBias!.narrow(0, 2 * width, width);
            Assert.True(valueBias.abs().max().item<double>() > 0.01);
            layer.OutputBias!.AddInPlace(valueBias.matmul(layer.OutputWeight));
            valueBias.zero_();
        }

        AssertPlain(pairs, new PatchOptions { Ablation = Ablation.Zero, Direction = Direction.Noise }, (pair, z, _) => zeros_like(z(pairs[pair].Clean)));
        SweepResult folded = ParityTests.Sweep(model, pairs, options with { Ablation = Ablation.Zero });
        foreach (var (left, right) in result.Pairs.Zip(folded.Pairs))
        {
            Assert.Equal(right.CleanMetric, left.CleanMetric, 1e-9);
            Assert.All(right.PatchedMetric!.Zip(left.PatchedMetric!).SelectMany(rows => rows.First.Zip(rows.Second)), values => Assert.Equal(values.First, values.Second, 1e-9));
        }
    }

    [Fact]
    public void The_two_zeros_are_the_same_where_a_family_has_no_value_bias_and_each_shared_value_head_has_its_own_where_it_has()
    {
        using var folder = new TemporaryFolder();
        foreach (string family in new[] { "llama", "qwen2" })
        {
            RandomModelFolder.Write(folder[family], RandomModelFolder.Config(family), seed: 4);
            using Transformer model = ModelFolder.Load(folder[family], ScalarType.Float64, CPU);
            TokenPair[] pairs = Pairs("one length");
            SweepResult bias = ParityTests.Sweep(model, pairs, new PatchOptions { Ablation = Ablation.ValueBias, Direction = Direction.Noise });
            SweepResult zero = ParityTests.Sweep(model, pairs, new PatchOptions { Ablation = Ablation.Zero, Direction = Direction.Noise });
            double largest = bias.Heads.Zip(zero.Heads).Max(heads => Math.Abs(heads.First.PatchedMetric - heads.Second.PatchedMetric));
            Assert.True(family == "llama" ? largest == 0 : largest > 0.01, $"{family} {largest}");

            using var scope = NewDisposeScope();
            using var mode = inference_mode();
            int keyWidth = model.Config.KeyValueHeads * model.Config.HeadWidth, sharing = model.Config.Heads / model.Config.KeyValueHeads;
            for (int layer = 0; layer < model.Config.Layers && family == "qwen2"; layer++)
            {
                Tensor valueBias = model.Weights.Layers[layer].QueryKeyValueBias!.narrow(0, (model.Config.Heads * model.Config.HeadWidth) + keyWidth, keyWidth).unflatten(0, [-1, model.Config.HeadWidth]);
                for (int head = 0; head < model.Config.Heads; head++)
                {
                    double expected = PlainRun.LogitDifference(model, pairs[0], pairs[0].Clean, (at, own) =>
                    {
                        Tensor changed = own.clone();
                        _ = at == layer ? changed[head].copy_(valueBias[head / sharing].expand_as(changed[head])) : changed;
                        return changed;
                    });
                    Assert.Equal(expected, bias.Pairs[0].PatchedMetric![layer][head], 1e-9);
                }
            }
        }
    }

    [Fact]
    public void Where_there_is_no_other_prompt_it_is_refused_and_a_few_are_warned_of()
    {
        TokenPair[] pairs = Pairs("one length");
        foreach (Ablation ablation in new[] { Ablation.Mean, Ablation.Resample })
        {
            var options = new PatchOptions { Ablation = ablation, Direction = Direction.Noise };
            Fault fault = Assert.Single(Assert.Throws<InvalidInputException>(() => ParityTests.Sweep(_golden.Model, pairs[..1], options)).Faults);
            Assert.Contains("pair 0", fault.Message, StringComparison.Ordinal);

            // The same prompt again is no other: its z is the pair's own.
            Assert.Throws<InvalidInputException>(() => ParityTests.Sweep(_golden.Model, [pairs[0], pairs[0] with { Index = 1 }], options));
        }

        var mean = new PatchOptions { Ablation = Ablation.Mean, Direction = Direction.Noise };
        SweepResult few = ParityTests.Sweep(_golden.Model, pairs[..3], mean);
        Assert.Contains(few.Warnings, warning => warning.Contains("fewer than 5 other pairs, at the least 2 ", StringComparison.Ordinal));
        Assert.DoesNotContain(ParityTests.Sweep(_golden.Model, pairs, mean).Warnings, warning => warning.Contains("fewer than", StringComparison.Ordinal));
        Assert.Contains(
            ParityTests.Sweep(_golden.Model, Pairs("alone"), mean with { Ablation = Ablation.Resample }).Warnings,
            warning => warning.Contains("the length or template of pair 7: the donor", StringComparison.Ordinal));
    }

    public void Dispose() => _golden.Dispose();

    /// <summary>Every patched run of a sweep against a plain run with z replaced by what <paramref name="putIn"/> says, [heads, position, d_head].</summary>
    /// <param name="pairs">The pairs.</param>
    /// <param name="options">The ablation.</param>
    /// <param name="putIn">For a pair: from the z of any prompt in a layer. May ask whether some z gives the sweep's numbers for all heads of that layer.</param>
    private void AssertPlain(TokenPair[] pairs, PatchOptions options, Func<int, Func<IReadOnlyList<int>, Tensor>, Func<Tensor, bool>, Tensor> putIn)
    {
        Transformer model = _golden.Model;
        SweepResult result = ParityTests.Sweep(model, pairs, options);
        using var scope = NewDisposeScope();
        using var mode = inference_mode();
        var known = new Dictionary<string, Tensor[]>();
        for (int pair = 0; pair < pairs.Length; pair++)
        {
            for (int layer = 0; layer < model.Config.Layers; layer++)
            {
                double[] swept = result.Pairs[pair].PatchedMetric![layer];
                Tensor put = putIn(pair, ids => Z(ids)[layer], candidate => Plain(pair, layer, candidate).Zip(swept).All(metric => Math.Abs(metric.First - metric.Second) < 1e-9));
                Assert.All(Plain(pair, layer, put).Zip(swept), metric => Assert.Equal(metric.First, metric.Second, 1e-9));
            }
        }

        Tensor[] Z(IReadOnlyList<int> ids) => known.TryGetValue(string.Join(' ', ids), out Tensor[]? z) ? z : known[string.Join(' ', ids)] = PlainRun.Z(model, ids);

        // Head after head as it is asked for: most prompts that are not the donor fail at the first.
        IEnumerable<double> Plain(int pair, int layer, Tensor put) =>
            Enumerable.Range(0, model.Config.Heads).Select(head => PlainRun.LogitDifference(model, pairs[pair], Patched(pairs[pair], options.Direction), (at, own) =>
            {
                if (at != layer)
                {
                    return own;
                }

                Tensor changed = own.clone();
                changed[head].copy_(put[head]);
                return changed;
            }));
    }

    private static IReadOnlyList<int> Patched(TokenPair pair, Direction direction) => direction == Direction.Noise ? pair.Clean : pair.Corrupted;

    private static IReadOnlyList<TokenPair> Giving(TokenPair[] pairs, PatchOptions options) => options.References ?? pairs;

    private static IReadOnlyList<int> Given(TokenPair pair, PatchOptions options) => options.References is null ? Patched(pair, options.Direction) : pair.Corrupted;

    private static TokenPair[] References(string set) => [.. Pairs(set).Select(pair => pair with { Corrupted = [.. pair.Corrupted.Select(id => (id + 3) % 40)] }), .. Pairs(set).Take(2)];

    private static TokenPair[] Pairs(string set) => set switch
    {
        "one length" => [.. Enumerable.Range(0, 7).Select(i => Pair(i, 8))],
        "mixed" => [.. Enumerable.Range(0, 8).Select(i => Pair(i, i < 5 ? 8 : 6 + i - 5)), Pair(8, 6) with { Clean = Pair(5, 6).Clean }],
        "alone" => [.. Enumerable.Range(0, 8).Select(i => Pair(i, i < 7 ? 6 : 9))], // one that reaches further than all others
        "roles" =>
        [
            .. Enumerable.Range(0, 8).Select(i => Pair(i, 6 + (i % 3)) with
            {
                Roles = i == 6 ? null : new Dictionary<string, int> { ["A"] = 1 + (i % 2), ["B"] = 3 + (i % 3), [i < 2 ? "RARE" : "END"] = 5 + (i % 3), },
            }),
        ],
        _ => [.. Enumerable.Range(0, 10).Select(i => Pair(i, i % 4 == 0 ? 8 : 7) with { Template = i < 6 ? "many" : i < 8 ? "few" : null })],
    };

    private static TokenPair Pair(int i, int length)
    {
        int[] clean = [.. Enumerable.Range(0, length).Select(p => ((i * 11) + (p * 5) + (i * p)) % 40)];
        int[] corrupted = [.. clean];
        corrupted[1 + (i % 3)] = (clean[1 + (i % 3)] + 1) % 40;
        return new TokenPair(i, clean, corrupted, 1, 2);
    }
}
