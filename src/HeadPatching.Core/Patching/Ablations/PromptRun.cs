using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Ablations;

/// <summary>Prompts run for the sake of their z alone.</summary>
public static class PromptRun
{
    /// <summary>Runs prompts up to a layer.</summary>
    /// <param name="model">The model.</param>
    /// <param name="prompts">Token ids, all prompts of one length.</param>
    /// <param name="firstLayer">The first layer whose z is wanted.</param>
    /// <param name="layers">How many from there; nothing after them is run.</param>
    /// <param name="take">Given each layer and its z, [prompts, heads, position, d_head], which is freed when it returns.</param>
    public static void Z(Transformer model, IReadOnlyList<IReadOnlyList<int>> prompts, int firstLayer, int layers, Action<int, Tensor> take)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        LayerPass.Run([Steps(model, prompts, firstLayer, layers, take)]);
    }

    /// <summary>Runs prompts up to a layer, in a pass over the layers that others may share (<see cref="LayerPass"/>).</summary>
    /// <inheritdoc cref="Z"/>
    /// <returns>Each layer before it is gone through.</returns>
    internal static IEnumerable<int> Steps(Transformer model, IReadOnlyList<IReadOnlyList<int>> prompts, int firstLayer, int layers, Action<int, Tensor> take)
    {
        Tensor resid = Embedded();                                            // [prompts, position, d_model]
        for (int layer = 0; layer < firstLayer + layers; layer++)
        {
            yield return layer;
            using var layerScope = NewDisposeScope();
            var (q, k, v) = model.QueryKeyValue(layer, resid);
            Tensor z = model.Attend(layer, q, k, v);
            if (layer >= firstLayer)
            {
                take(layer, z);
            }

            Tensor? post = layer < firstLayer + layers - 1 ? model.ResidPost(layer, resid, z).MoveToOuterDisposeScope() : null;
            resid.Dispose();
            resid = post!;
        }

        Tensor Embedded()
        {
            using var scope = NewDisposeScope();
            long[] ids = [.. prompts.SelectMany(prompt => prompt).Select(id => (long)id)];
            return model.Embed(tensor(ids, device: model.Device).reshape(prompts.Count, -1)).MoveToOuterDisposeScope();
        }
    }
}
