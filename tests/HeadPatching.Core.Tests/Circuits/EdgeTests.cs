using System.Text.Json;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Models;
using HeadPatching.Core.Tests.Prompts;

namespace HeadPatching.Core.Tests.Circuits;

/// <summary>What edges are called, and which a model has.</summary>
public class EdgeTests
{
    private static readonly ModelConfig Gpt2Small = TestConfig.With(vocabulary: 50257) with { Layers = 12, Heads = 12, KeyValueHeads = 12 };

    /// <summary>5 layers of 8 heads, which share 4 key/value heads.</summary>
    private static readonly ModelConfig Stories260K = TestConfig.With(vocabulary: 512) with { Layers = 5, Heads = 8, KeyValueHeads = 4 };

    [Theory]
    [InlineData("L0H3->L9H6.q")]
    [InlineData("embed->L2.mlp")]
    [InlineData("M5->logits")]
    public void An_edge_is_read_and_written_as_the_same_text_and_in_JSON(string text)
    {
        Assert.True(Edge.TryParse(text, out Edge edge));
        Assert.Equal(text, edge.ToString());
        Assert.Equal(edge, JsonSerializer.Deserialize<Edge>(JsonSerializer.Serialize(edge)));
        Assert.Contains(edge, Edge.All(Gpt2Small));
    }

    [Theory]
    [InlineData("")]
    [InlineData("L0H3")]
    [InlineData("L0H3->")]
    [InlineData("L0H3->L1H2")]
    [InlineData("L0H3 -> logits")]
    [InlineData("logits->L0H3.q")]
    [InlineData("embed->M5->logits")]
    public void Anything_else_is_no_edge(string text)
    {
        Assert.False(Edge.TryParse(text, out _));
        Assert.Contains(Edge.Form, Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<Edge>(JsonSerializer.Serialize(text))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_has_as_many_edges_as_EAP_IG_counts()
    {
        Assert.Equal(32_491, Edge.All(Gpt2Small).Distinct().Count());
        Assert.Equal(32_491, Edge.All(Gpt2Small, ungrouped: true).Count());
        Assert.Equal(2_461, Edge.All(Stories260K, ungrouped: true).Distinct().Count());
        Assert.Equal(1_701, Edge.All(Stories260K).Distinct().Count());
        Assert.Equal(32_491 - (12 * 12), Edge.All(Gpt2Small with { ParallelResidual = true }).Count());
    }
}
