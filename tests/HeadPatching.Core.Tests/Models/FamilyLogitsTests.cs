using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Golden;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Models;

/// <summary>The logits of the families other than GPT-2 are those of TransformerLens; GPT-2's are held by the parity tests.</summary>
public class FamilyLogitsTests
{
    [Theory]
    [InlineData("gpt-neox-golden", ScalarType.Float64)]
    [InlineData("gpt-neox-golden", ScalarType.Float32)]
    [InlineData("llama-golden", ScalarType.Float64)]
    [InlineData("llama-golden", ScalarType.Float32)]
    public void The_logits_of_every_prompt_are_those_that_TransformerLens_gives(string name, ScalarType dtype)
    {
        using var golden = new GoldenModel(name, dtype);
        var differences = new Differences();
        foreach (TokenPair pair in golden.Pairs)
        {
            Compare("clean_logits_last", pair.Index, pair.Clean);
            Compare("corrupted_logits_last", pair.Index, pair.Corrupted);
        }

        differences.AssertWithin(dtype == ScalarType.Float64 ? 1e-7 : null);

        void Compare(string table, int pair, IReadOnlyList<int> ids)
        {
            using var mode = inference_mode();
            using var scope = NewDisposeScope();
            Tensor logits = golden.Model.Logits(tensor(ids.Select(id => (long)id).ToArray()).unsqueeze(0));
            double[] last = [.. logits[0, -1].to(ScalarType.Float64).data<double>()];
            differences.Add(table, golden.OfPair(pair, table), at => last[at[0]]);
        }
    }
}
