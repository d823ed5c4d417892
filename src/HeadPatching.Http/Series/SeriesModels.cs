using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching;
using HeadPatching.Http.Requests;
using HeadPatching.Sweeps.Models;

namespace HeadPatching.Http.Series;

/// <summary>Checks the models of a series, all of them, before the first is swept.</summary>
internal static class SeriesModels
{
    /// <summary>Adds a fault for each that there is not, that is named twice, or that is of another shape than the first, as far as the catalog knows. Null is one that could not be read.</summary>
    public static async Task CheckAsync(IReadOnlyList<string?> models, Patch patch, IModelCatalog catalog, FaultList faults, CancellationToken cancellationToken)
    {
        int before = faults.Count;
        foreach (var (index, name) in models.Index())
        {
            if (name is not string model)
            {
                continue;
            }

            int first = models.Index().First(other => other.Item == model).Index;
            if (first < index)
            {
                faults.Add(FaultKinds.InvalidOption, $"models[{index}]", $"It is models[{first}] again.");
                continue;
            }

            try
            {
                await catalog.CheckAsync(model, $"models[{index}]", cancellationToken);
            }
            catch (InvalidInputException e)
            {
                faults.AddRange(e.Faults);
            }
        }

        if (faults.Count > before)
        {
            return;
        }

        // A series is a picture of one shape; better said now than after hours of sweeps.
        Dictionary<string, ModelShape> shapes = (await catalog.ListAsync(cancellationToken)).Where(model => model.Shape is not null).ToDictionary(model => model.Name, model => model.Shape!);
        ModelShape? shape = models is [string named, ..] ? shapes.GetValueOrDefault(named) : null;
        foreach (var (index, model) in models.Index())
        {
            if (shape is not null && model is not null && shapes.TryGetValue(model, out ModelShape? other) && (other.Layers != shape.Layers || (!patch.IsOfLayer() && other.Heads != shape.Heads)))
            {
                faults.Add(
                    FaultKinds.OutOfRange,
                    $"models[{index}]",
                    $"A series is of models of one shape. {models[0]} has {shape.Layers} layers x {shape.Heads} heads, {model} {other.Layers} x {other.Heads}.");
            }
        }
    }
}
