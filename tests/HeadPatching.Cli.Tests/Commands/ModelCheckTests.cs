using HeadPatching.Testing;

namespace HeadPatching.Cli.Tests.Commands;

/// <summary>
/// <c>headpatch model check</c> of the config.json of models that papers use, as their publishers describe them: each would be swept, and has as
/// many weights as is publicly known.
/// </summary>
public class ModelCheckTests
{
    [Theory]
    [InlineData("gpt2", "gpt2", 124_439_808, "BOS 50256")]
    [InlineData("pythia-160m", "gpt_neox", 162_322_944, "BOS none (0 with --bos always)")]
    [InlineData("Llama-3.1-8B", "llama", 8_030_261_248, "BOS 128000")]
    [InlineData("Qwen2.5-0.5B", "qwen2", 494_032_768, "BOS none (151643 with --bos always)")]
    [InlineData("Qwen3-4B", "qwen3", 4_022_468_096, "BOS none (151643 with --bos always)")]
    [InlineData("gemma-2-2b", "gemma2", 2_614_341_888, "BOS 2", "8192 tokens (13 layers see the last 4096)")]
    [InlineData("gemma-3-1b-pt", "gemma3_text", 999_885_952, "BOS 2", "32768 tokens (22 layers see the last 512)")]
    [InlineData("OLMo-2-0425-1B", "olmo2", 1_484_916_736, "BOS 100257")]
    [InlineData("Phi-3-mini-4k-instruct", "phi3", 3_821_079_552, "BOS 1", "4096 tokens (32 layers see the last 2047)")]
    [InlineData("gpt-j-6b", "gptj", 6_050_882_784, "BOS 50256")]
    [InlineData("Mistral-7B-v0.1", "mistral", 7_241_732_096, "BOS 1", "32768 tokens (32 layers see the last 4096)")]
    [InlineData("opt-125m", "opt", 125_239_296 - (2 * 768), "BOS 2")] // two rows of its position embeddings are never used
    [InlineData("gpt-oss-20b", "gpt_oss", 20_914_757_184, "BOS 199998", "131072 tokens (12 layers see the last 128)", "d_mlp 2880 in 4 of 32 experts")]
    public async Task A_published_model_would_be_swept_and_it_is_said_what_memory_it_takes(string name, string family, long parameters, params string[] says)
    {
        string path = Path.Combine(AppContext.BaseDirectory, "Commands", "PublishedConfigs", name + ".json");
        var (exitCode, output, error) = await Headpatch.RunAsync(Path.GetTempPath(), "model", "check", path);
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        Assert.Matches($@"family +{family}\r?\n", output);
        Assert.Matches($@"weights +{parameters} by config\.json", output);
        Assert.Contains(FormattableString.Invariant($"{parameters * 4 / 1048576.0:F0} MiB as float32, {parameters * 2 / 1048576.0:F0} MiB as bfloat16, resident"), output);
        Assert.All(says, line => Assert.Contains(line, output));
        Assert.Contains("can be swept", output);
    }

    [Fact]
    public async Task What_cannot_be_swept_is_refused_by_its_name_with_the_reason()
    {
        using var folder = new TemporaryFolder();
        foreach ((string type, string why) in new[] { ("mixtral", "experts"), ("mamba", "no heads to patch"), ("t5", "encoder"), ("new-model", "is not supported (supported: gemma2, ") })
        {
            folder.Write("config.json", $$"""{"model_type": "{{type}}"}""");
            var (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, "model", "check", "config.json");
            Assert.Equal(2, exitCode);
            Assert.Contains($"config.json: model_type '{type}' is not supported", error);
            Assert.Contains(why, error);
        }
    }
}
