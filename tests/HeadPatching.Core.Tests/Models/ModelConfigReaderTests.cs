using System.Text.Json.Nodes;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Models;

public class ModelConfigReaderTests
{
    [Fact]
    public void A_GPT2_config_is_read()
    {
        var config = Read(_ => { });
        Assert.Equal(
            new ModelConfig
            {
                Family = "gpt2",
                Layers = 12,
                Heads = 12,
                KeyValueHeads = 12,
                HeadWidth = 64,
                Width = 768,
                MlpWidth = 3072,
                Context = 1024,
                Vocabulary = 50257,
                NormEpsilon = 1e-5,
                Activation = Activation.GeluTanh,
                BosId = 50256,
                TiedUnembedding = true,
            },
            config);
    }

    [Fact]
    public void Optional_fields_override_their_defaults()
    {
        var config = Read(json =>
        {
            json["n_inner"] = 100;
            json["layer_norm_epsilon"] = 1e-6;
            json["tie_word_embeddings"] = false;
            json["bos_token_id"] = 7;
            json["reorder_and_upcast_attn"] = true;
        });
        Assert.Equal(100, config.MlpWidth);
        Assert.Equal(1e-6, config.NormEpsilon);
        Assert.False(config.TiedUnembedding);
        Assert.Equal(7, config.BosId);
    }

    [Theory]
    [InlineData("gelu", Activation.Gelu)]
    [InlineData("gelu_new", Activation.GeluTanh)]
    [InlineData("gelu_pytorch_tanh", Activation.GeluTanh)]
    [InlineData("relu", Activation.Relu)]
    [InlineData("silu", Activation.Silu)]
    [InlineData("swish", Activation.Silu)]
    public void Activations_are_known_by_the_names_of_transformers(string name, Activation expected) =>
        Assert.Equal(expected, Read(json => json["activation_function"] = name).Activation);

    [Fact]
    public void The_context_of_an_old_file_is_its_n_ctx() => Assert.Equal(512, Read(json =>
    {
        json.Remove("n_positions");
        json["n_ctx"] = 512;
    }).Context);

    [Fact]
    public void A_null_BOS_means_none_and_so_does_GPT2s_own_outside_the_vocabulary()
    {
        Assert.Null(Read(json => json["bos_token_id"] = null).BosId);
        Assert.Null(Read(json => json["vocab_size"] = 100).BosId);
    }

    [Fact]
    public void A_missing_folder_and_a_missing_file_are_refused_by_their_paths()
    {
        using var folder = new TemporaryFolder();
        var noFolder = Path.Combine(folder.Path, "none");
        AssertFault(FaultKinds.NotFound, noFolder, Assert.Throws<InvalidInputException>(() => ModelConfigReader.Read(noFolder)));
        AssertFault(
            FaultKinds.NotFound,
            Path.Combine(folder.Path, "config.json"),
            Assert.Throws<InvalidInputException>(() => ModelConfigReader.Read(folder.Path)));
    }

    [Fact]
    public void Malformed_JSON_is_refused_by_its_line()
    {
        using var folder = new TemporaryFolder();
        folder.Write("config.json", "{\n \"model_type\": \"gpt2\",\n \"n_layer\": twelve\n}");
        AssertFault(
            FaultKinds.Malformed,
            Path.Combine(folder.Path, "config.json:3"),
            Assert.Throws<InvalidInputException>(() => ModelConfigReader.Read(folder.Path)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"model_type\": \"gpt2\", \"model_type\": \"gpt2\"}")]
    [InlineData("{\"model_type\": \"\\ud800\"}")]
    public void What_is_no_sound_JSON_object_is_refused(string text)
    {
        using var folder = new TemporaryFolder();
        folder.Write("config.json", text);
        var fault = Assert.Single(Assert.Throws<InvalidInputException>(() => ModelConfigReader.Read(folder.Path)).Faults);
        Assert.Equal(FaultKinds.Malformed, fault.Kind);
    }

    [Fact]
    public void Another_architecture_is_refused_with_the_supported_ones()
    {
        var fault = Assert.Single(Faults(json => json["model_type"] = "bloom"));
        Assert.Equal(FaultKinds.UnsupportedModel, fault.Kind);
        Assert.Contains("'bloom'", fault.Message, StringComparison.Ordinal);
        Assert.Contains("gpt2", fault.Message, StringComparison.Ordinal);
        Assert.Equal(FaultKinds.Missing, Assert.Single(Faults(json => json.Remove("model_type"))).Kind);
    }

    [Theory]
    [InlineData("n_layer")]
    [InlineData("n_embd")]
    [InlineData("n_head")]
    [InlineData("n_positions")]
    [InlineData("vocab_size")]
    public void A_missing_size_is_one_fault_that_names_it(string field)
    {
        var fault = Assert.Single(Faults(json => json.Remove(field)));
        Assert.Equal(FaultKinds.Missing, fault.Kind);
        Assert.Contains(field, fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("n_layer", "0")]
    [InlineData("n_layer", "-1")]
    [InlineData("n_layer", "1.5")]
    [InlineData("n_layer", "\"12\"")]
    [InlineData("n_layer", "1000000")]
    [InlineData("n_embd", "99999999999999999999")]
    [InlineData("n_positions", "2000000000")]
    [InlineData("vocab_size", "2000000000")]
    [InlineData("n_inner", "0")]
    [InlineData("layer_norm_epsilon", "0")]
    [InlineData("layer_norm_epsilon", "1e400")]
    [InlineData("layer_norm_epsilon", "\"small\"")]
    [InlineData("tie_word_embeddings", "1")]
    [InlineData("bos_token_id", "50257")]
    [InlineData("activation_function", "\"gelu_fast\"")]
    [InlineData("activation_function", "3")]
    public void A_value_that_cannot_be_is_one_fault_that_names_field_and_value(string field, string value)
    {
        var fault = Assert.Single(Faults(json => json[field] = JsonNode.Parse(value)));
        Assert.Equal(FaultKinds.UnsupportedModel, fault.Kind);
        Assert.Contains(field, fault.Message, StringComparison.Ordinal);
        Assert.Contains(value, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_width_that_the_heads_do_not_divide_is_refused() =>
        Assert.Contains("n_embd 768 is not a multiple of n_head 11", Assert.Single(Faults(json => json["n_head"] = 11)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("scale_attn_weights", false)]
    [InlineData("scale_attn_by_inverse_layer_idx", true)]
    public void A_flag_that_changes_the_attention_is_refused_by_name(string flag, bool value) =>
        Assert.Contains(flag, Assert.Single(Faults(json => json[flag] = value)).Message, StringComparison.Ordinal);

    [Fact]
    public void All_faults_come_at_once()
    {
        var faults = Faults(json =>
        {
            json.Remove("n_layer");
            json["n_head"] = 7;
            json["vocab_size"] = -1;
            json["activation_function"] = "mish";
            json["scale_attn_weights"] = false;
        });
        Assert.Equal(5, faults.Count);
    }

    [Theory]
    [InlineData("gpt2-golden-a", 3, 4, 12, 101, 100)]
    [InlineData("gpt2-golden-b", 4, 8, 8, 257, 256)]
    public void The_reference_models_configs_are_read(string model, int layers, int heads, int headWidth, int vocabulary, int bosId)
    {
        var config = ModelConfigReader.Read(GoldenModel.Folder(model));
        Assert.Equal(
            (layers, heads, headWidth, vocabulary, bosId), (config.Layers, config.Heads, config.HeadWidth, config.Vocabulary, config.BosId!.Value));
    }

    private static ModelConfig Read(Action<JsonObject> change)
    {
        var json = new JsonObject
        {
            ["model_type"] = "gpt2",
            ["n_layer"] = 12,
            ["n_embd"] = 768,
            ["n_head"] = 12,
            ["n_positions"] = 1024,
            ["vocab_size"] = 50257,
            ["n_inner"] = null,
        };
        change(json);
        using var folder = new TemporaryFolder();
        folder.Write("config.json", json.ToJsonString());
        return ModelConfigReader.Read(folder.Path);
    }

    private static IReadOnlyList<Fault> Faults(Action<JsonObject> change) => Assert.Throws<InvalidInputException>(() => Read(change)).Faults;

    private static void AssertFault(string kind, string where, InvalidInputException exception)
    {
        var fault = Assert.Single(exception.Faults);
        Assert.Equal((kind, where), (fault.Kind, fault.Where));
    }
}
