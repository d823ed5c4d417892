using HeadPatching.Core.Faults;
using HeadPatching.Core.Models.Families;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models;

/// <summary>A model in a folder, in the layout of Hugging Face: config.json, safetensors weights, and a tokenizer where prompts are text.</summary>
public static class ModelFolder
{
    /// <summary>Loads a model.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="dtype">The type to compute in; weights stored in another are converted.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="elsewhere">Opens weight files that are not in the folder: <see cref="WeightFiles.Open"/>.</param>
    /// <param name="streamed">Whether layers are read when they are used, two at a time (<see cref="StreamedWeights"/>), instead of all now.</param>
    /// <exception cref="InvalidInputException">
    /// The folder, its config.json or its weights cannot be used, a weight that is NaN or infinite among them; carries every fault that
    /// could be found.
    /// </exception>
    public static Transformer Load(string folder, ScalarType dtype, Device device, Func<string, Stream?>? elsewhere = null, bool streamed = false)
    {
        ModelConfig config = ModelConfigReader.Read(folder);
        WeightFiles files = WeightFiles.Open(folder, elsewhere);
        bool isTheirs = false;
        try
        {
            var weights = new FamilyWeights(files, config);
            ThrowIfAny(weights.Check());
            using var mode = no_grad();

            // The model takes the weights out of the scope when it has them all; of a load that fails midway the scope frees what was read.
            using var scope = NewDisposeScope();
            var model = new Transformer(config, streamed ? weights.Stream(dtype, device) : weights.Read(dtype, device));
            isTheirs = streamed;
            return model;
        }
        finally
        {
            if (!isTheirs)
            {
                files.Dispose();
            }
        }
    }

    /// <summary>Looks at everything that <see cref="Load"/> would need but the weights' values: cheap even for a large model.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="elsewhere">As for <see cref="Load"/>.</param>
    /// <exception cref="InvalidInputException">The model cannot be loaded; carries every fault that could be found.</exception>
    public static ModelFolderSummary Inspect(string folder, Func<string, Stream?>? elsewhere = null)
    {
        ModelConfig config = ModelConfigReader.Read(folder);
        using WeightFiles files = WeightFiles.Open(folder, elsewhere);
        ThrowIfAny(new FamilyWeights(files, config).Check());
        return new ModelFolderSummary(config, files.FileNames, files.ParameterCount);
    }

    /// <summary>How many weights a model has in memory once it is loaded, from its shape alone: those that are packed in its files unpacked.</summary>
    public static long Parameters(ModelConfig config)
    {
        using var scope = NewDisposeScope();
        return Shapes(config, ScalarType.Float32).All().Sum(weight => weight.numel());
    }

    /// <summary>What a model's weights take in memory, from its shape alone.</summary>
    /// <param name="config">The shape.</param>
    /// <param name="dtype">The type it computes in.</param>
    public static WeightBytes Bytes(ModelConfig config, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        TransformerWeights weights = Shapes(config, dtype);
        long layers = weights.Layers.Sum(OfLayer), all = weights.All().Sum(Of);
        long tokens = Of(weights.TokenEmbedding) + (ReferenceEquals(weights.Unembedding, weights.TokenEmbedding) ? 0 : Of(weights.Unembedding));
        return new WeightBytes(
            all,
            weights.Layers.Max(OfLayer),
            weights.Layers.Max(layer => layer.All().Max(Of)),
            Of(weights.Unembedding),
            all - layers - (config.EmbeddingWidth is null ? tokens : 0),
            weights.Layers.Sum(layer => layer.Written().Sum(Of)));

        static long OfLayer(LayerWeights layer) => layer.All().Sum(Of);

        static long Of(Tensor weight) => weight.numel() * weight.dtype.Bytes();
    }

    /// <summary>Tensors that have a shape and no memory, in the caller's dispose scope.</summary>
    private static TransformerWeights Shapes(ModelConfig config, ScalarType dtype)
    {
        ModelFamily family = ModelFamily.All[config.Family];
        Dictionary<string, long[]> shapes = family.Shapes(config);
        using var mode = no_grad();
        return family.Read(config, name => empty(shapes[name], dtype: family.TypeOf(name, shapes[name], dtype), device: META), read => [.. Enumerable.Range(0, config.Layers).Select(read)]);
    }

    /// <summary>Refuses a path that is no folder.</summary>
    /// <exception cref="InvalidInputException">There is no such folder.</exception>
    internal static void CheckExists(string folder)
    {
        if (!Directory.Exists(folder))
        {
            throw new InvalidInputException(
                FaultKinds.NotFound,
                folder,
                File.Exists(folder) ? "This is a file; name the model's folder." : "The model folder does not exist.");
        }
    }

    private static void ThrowIfAny(IReadOnlyList<Fault> faults)
    {
        if (faults.Count > 0)
        {
            throw new InvalidInputException(faults);
        }
    }
}
