using System.Text.Json;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Golden;

/// <summary>
/// A small random model with its reference values. Those of the two GPT-2s were computed with the final norm at its initial state, scale 1
/// and shift 0: in the run that made them, ln_f.weight and ln_f.bias of the file were not loaded (an independent forward pass in plain
/// Python gives every clean logit to 5e-8 without the two, and is off by up to 2 with them). Every GPT-2 has them and they count, so our
/// loader reads them, <see cref="ModelFolderTests"/> holds that it does, and here they are set to what the values were made with. Those of
/// the GPT-NeoX and the Llama were computed with the final norm of the file (and are off by up to 2 without it), so there it stays.
/// </summary>
internal sealed class GoldenModel : IDisposable
{
    private readonly JsonDocument _golden;

    public GoldenModel(string name, ScalarType dtype, Device? device = null, bool streamed = false)
    {
        string folder = Folder(name);
        Model = ModelFolder.Load(folder, dtype, device ?? CPU, streamed: streamed);
        if (Model.Config.Family == "gpt2")
        {
            using var mode = inference_mode();
            using var scope = NewDisposeScope();
            Model.Weights.FinalNormWeight!.copy_(ones_like(Model.Weights.FinalNormWeight));
            Model.Weights.FinalNormBias!.zero_();
        }

        _golden = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "golden.json")));
        Pairs =
        [
            .. Values.GetProperty("pairs").EnumerateArray().Select((pair, index) => new TokenPair(
                index,
                [.. pair.GetProperty("clean").EnumerateArray().Select(id => id.GetInt32())],
                [.. pair.GetProperty("corrupted").EnumerateArray().Select(id => id.GetInt32())],
                pair.GetProperty("correct").GetInt32(),
                pair.GetProperty("incorrect").GetInt32())),
        ];
    }

    public Transformer Model { get; }

    public IReadOnlyList<TokenPair> Pairs { get; }

    /// <summary>Each pair, and then each the other way round, so that there are at least two of every length.</summary>
    public IReadOnlyList<TokenPair> BothWays =>
        [.. Pairs, .. Pairs.Select(pair => pair with { Index = Pairs.Count + pair.Index, Clean = pair.Corrupted, Corrupted = pair.Clean })];

    public JsonElement Values => _golden.RootElement;

    public static string Folder(string name) => Path.Combine(AppContext.BaseDirectory, "Golden", name);

    public JsonElement OfPair(int pair, string table) => Values.GetProperty("per_pair")[pair].GetProperty(table);

    public void Dispose()
    {
        Model.Dispose();
        _golden.Dispose();
    }
}
