using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Tests.Prompts;

namespace HeadPatching.Core.Tests.Patching.Paths;

/// <summary>What a receiver may be called, and which receivers a model has.</summary>
public class ReceiverTests
{
    [Theory]
    [InlineData("logits")]
    [InlineData("L9H6.q")]
    [InlineData("L10H0.k")]
    [InlineData("L1H11.v")]
    [InlineData("L8.mlp")]
    public void A_receiver_is_read_and_written_as_the_same_text_and_in_JSON(string text)
    {
        Assert.True(Receiver.TryParse(text, out Receiver receiver));
        Assert.Equal(text, receiver.ToString());
        Assert.Equal(receiver, JsonSerializer.Deserialize<Receiver>(JsonSerializer.Serialize(receiver)));
        Assert.Equal($"\"{text}\"", JsonSerializer.Serialize(receiver));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Logits")]
    [InlineData("logits ")]
    [InlineData("L9H6")]
    [InlineData("L9H6.z")]
    [InlineData("L9H6.mlp")]
    [InlineData("L9.q")]
    [InlineData("M9")]
    [InlineData("L9H6.qk")]
    [InlineData("L9H6.q\n")]
    [InlineData("9.6.q")]
    [InlineData("L-1H6.q")]
    [InlineData("L+1H6.q")]
    [InlineData("LH.q")]
    [InlineData("L9H99999999999.q")]
    [InlineData("L٩H6.q")]
    public void Anything_else_is_not_a_receiver(string text)
    {
        Assert.False(Receiver.TryParse(text, out _));
        string message = Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<Receiver>(JsonSerializer.Serialize(text))).Message;
        Assert.Contains(Receiver.Form, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("9", "A receiver is")]
    [InlineData("{}", "A receiver is")]
    [InlineData("true", "A receiver is")]
    public void JSON_that_is_not_a_text_is_refused_and_says_what_a_receiver_is(string json, string message) =>
        Assert.Contains(message, Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<Receiver>(json)).Message, StringComparison.Ordinal);

    /// <summary>The model has 4 layers of 8 heads, which share 2 key/value heads.</summary>
    [Theory]
    [InlineData("logits")]
    [InlineData("L1H0.q L1H7.q L3H7.q")]
    [InlineData("L1H1.k L3H1.v")]
    [InlineData("L2H0.q L2H0.k L2H0.v")]
    [InlineData("L0H0.q", "receivers[0]: L0H0.q: the receivers of this model are in layers 1 to 3; before layer 0 there is no head to send.")]
    [InlineData("L1H0.q L4H0.q", "receivers[1]: L4H0.q: the receivers of this model are in layers 1 to 3; before layer 0 there is no head to send.")]
    [InlineData("L1H8.q", "receivers[0]: L1H8.q: a layer of this model has the heads 0 to 7.")]
    [InlineData("L1H2.k", "receivers[0]: L1H2.k: the 8 heads of a layer share 2 key/value heads, 0 to 1; name one of those.")]
    [InlineData("L1H7.v", "receivers[0]: L1H7.v: the 8 heads of a layer share 2 key/value heads, 0 to 1; name one of those.")]
    [InlineData("L0.mlp L3.mlp L2H0.q")]
    [InlineData("L4.mlp", "receivers[0]: L4.mlp: the MLPs of this model that read heads are of layers 0 to 3.")]
    [InlineData("L1H0.q L1H0.q", "receivers[1]: L1H0.q is named twice.")]
    [InlineData("L1H0.q logits", "receivers[1]: \"logits\" stands alone: make a second sweep for the inputs of heads and MLPs.")]
    [InlineData("logits L1H0.q", "receivers[0]: \"logits\" stands alone: make a second sweep for the inputs of heads and MLPs.")]
    public void The_receivers_that_a_model_does_not_have_are_named(string receivers, params string[] faults)
    {
        var config = TestConfig.With(vocabulary: 257) with { Layers = 4, Heads = 8, KeyValueHeads = 2 };
        var options = new PathOptions { Receivers = [.. receivers.Split(' ').Select(Parse)] };
        Assert.Equal(faults, options.Faults(config).Select(fault => fault.ToString()));
    }

    [Fact]
    public void No_receiver_and_a_receiver_in_a_model_of_one_layer_are_faults_where_they_were_given()
    {
        ModelConfig config = TestConfig.With(vocabulary: 257) with { Layers = 1 };
        Fault missing = Assert.Single(new PathOptions { Receivers = [] }.Faults(config, "--receivers"));
        Assert.Equal((FaultKinds.Missing, "--receivers"), (missing.Kind, missing.Where));
        Fault outside = Assert.Single(new PathOptions { Receivers = [Parse("L1H0.q")] }.Faults(config));
        Assert.Equal(FaultKinds.OutOfRange, outside.Kind);
        Assert.Contains("one layer", outside.Message, StringComparison.Ordinal);
    }

    private static Receiver Parse(string text) => Receiver.TryParse(text, out Receiver receiver) ? receiver : throw new FormatException(text);
}
