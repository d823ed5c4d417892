using System.Text.RegularExpressions;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets.Ioi;
using HeadPatching.DemoModel.Sentences;
using HeadPatching.DemoModel.Vocabularies;
using Microsoft.ML.Tokenizers;

namespace HeadPatching.DemoModel.Tests;

/// <summary>The files, read back by the library's tokenizer with GPT-2's own rule for splitting text.</summary>
public sealed partial class BytePairVocabularyTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();
    private readonly BytePairVocabulary _vocabulary = BytePairVocabulary.Train(SentenceWords.All);
    private readonly BpeTokenizer _tokenizer;

    public BytePairVocabularyTests()
    {
        _vocabulary.Save(_folder.FullName);
        var vocabulary = Path.Combine(_folder.FullName, "vocab.json");
        var merges = Path.Combine(_folder.FullName, "merges.txt");
        _tokenizer = BpeTokenizer.Create(new BpeOptions(vocabulary, merges)
        {
            ByteLevel = true,
            PreTokenizer = new RegexPreTokenizer(Gpt2Pieces, specialTokens: null),
        });
    }

    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")]
    private static partial Regex Gpt2Pieces { get; }

    [Fact]
    public void Every_name_place_and_object_after_a_space_is_one_token() =>
        Assert.All(IoiWords.Names.Concat(IoiWords.Places).Concat(IoiWords.Objects), word => Assert.Single(_tokenizer.EncodeToIds($" {word}")));

    [Fact]
    public void Every_word_of_the_built_in_datasets_is_one_token() => Assert.All(
        FixedIoi.SubjectSwapped.Pairs.Concat(FixedIoi.NamesSwapped.Pairs)
            .SelectMany(pair => new[] { pair.Clean.Text!, pair.Corrupted.Text! }),
        prompt => Assert.Equal(Gpt2Pieces.Count(prompt), _tokenizer.EncodeToIds(prompt).Count));

    [Fact]
    public void Every_word_of_a_generated_sentence_is_one_token()
    {
        var generator = new SentenceGenerator(NamePairs.Training, new Random(1));
        var texts = Enumerable.Range(0, 1000).Select(_ => generator.Next()).Select(sentence => $"{sentence.Prompt}{sentence.Answer}.");
        Assert.All(texts, text => Assert.Equal(Gpt2Pieces.Count(text), _tokenizer.EncodeToIds(text).Count));
    }

    [Theory]
    [InlineData("Zoë gave 12 kiwis to\tXiè 🙂!")]
    [InlineData("  When  mary's   ")]
    public void Any_other_text_can_be_encoded_and_read_back(string text)
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(text);
        var spelled = string.Concat(_tokenizer.EncodeToIds(text).Select(id => _vocabulary.Tokens[id]));
        Assert.Equal(ByteLevelAlphabet.Spell(text), spelled);
        Assert.Equal(bytes.Length, spelled.Length);
    }

    [Fact]
    public void Core_reads_the_files_and_gives_the_same_tokens()
    {
        var core = TextTokenizer.Load(_folder.FullName)!;
        Assert.Equal(_vocabulary.Tokens.Count, core.VocabularySize);
        Assert.All(IoiTemplates.All, text => Assert.Equal(_tokenizer.EncodeToIds(text), core.Encode(text)));
    }

    [Fact]
    public void The_byte_alphabet_is_that_of_GPT2()
    {
        Assert.Equal("ĠaÃ©ĊĀ¡Ń", ByteLevelAlphabet.Spell(" aé\n\0") + ByteLevelAlphabet.Letters[94] + ByteLevelAlphabet.Letters[255]);
        Assert.Equal(256, ByteLevelAlphabet.Letters.Distinct().Count());
    }

    public void Dispose() => _folder.Delete(recursive: true);
}
