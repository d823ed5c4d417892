using HeadPatching.Core.Prompts.Datasets.Ioi;
using HeadPatching.DemoModel.Sentences;

namespace HeadPatching.DemoModel.Tests;

public class SentenceGeneratorTests
{
    private static readonly List<Sentence> Sentences = Generate(5000);

    [Fact]
    public void Training_never_sees_a_held_out_pair_in_either_order()
    {
        var heldOut = NamePairs.HeldOut.ToHashSet();
        Assert.DoesNotContain(Sentences, sentence => heldOut.Contains(sentence.Names));
        Assert.DoesNotContain(Sentences, sentence => heldOut.Contains(new NamePair(sentence.Names.Subject, sentence.Names.IndirectObject)));
    }

    [Fact]
    public void Every_pair_is_either_trained_on_or_held_out()
    {
        var names = IoiWords.Names.Count;
        var all = NamePairs.Training.Concat(NamePairs.HeldOut).ToList();
        Assert.Equal(names * (names - 1), all.Distinct().Count());
        Assert.Equal(names * (names - 1), all.Count);
    }

    [Fact]
    public void Every_name_is_learned_as_giver_and_as_receiver_and_is_held_out_too()
    {
        Assert.All(IoiWords.Names, name =>
        {
            Assert.Contains(NamePairs.Training, pair => pair.IndirectObject == name);
            Assert.Contains(NamePairs.Training, pair => pair.Subject == name);
            Assert.Contains(NamePairs.HeldOut, pair => pair.IndirectObject == name);
        });
    }

    [Fact]
    public void The_pairs_of_the_built_in_datasets_are_held_out()
    {
        foreach (var pair in FixedIoi.SubjectSwapped.Pairs)
        {
            Assert.Contains(new NamePair(pair.Correct.All[0].Text!.Trim(), pair.Incorrect.All[0].Text!.Trim()), NamePairs.HeldOut);
        }
    }

    [Fact]
    public void A_prompt_has_the_receiver_once_and_the_giver_twice() => Assert.All(Sentences, sentence =>
    {
        var words = Words(sentence);
        Assert.Single(words, sentence.Names.IndirectObject);
        Assert.Equal(2, words.Count(word => word == sentence.Names.Subject));
        Assert.Equal(sentence.Names.Subject, words.Last(IoiWords.Names.Contains));
        Assert.DoesNotContain('{', sentence.Prompt);
    });

    [Fact]
    public void Receiver_and_giver_come_first_equally_often()
    {
        var receiverFirst = Sentences.Count(sentence => Words(sentence).First(IoiWords.Names.Contains) == sentence.Names.IndirectObject);
        Assert.InRange((double)receiverFirst / Sentences.Count, 0.45, 0.55);
    }

    [Fact]
    public void The_template_of_the_built_in_datasets_is_among_the_sentences() => Assert.Contains(
        "When {First} and {Second} went to the {Place}, {Subject} gave a {Object} to", IoiTemplates.All);

    [Fact]
    public void The_same_seed_gives_the_same_sentences() => Assert.Equal(Sentences, Generate(Sentences.Count));

    private static List<Sentence> Generate(int count)
    {
        var generator = new SentenceGenerator(NamePairs.Training, new Random(3));
        return [.. Enumerable.Range(0, count).Select(_ => generator.Next())];
    }

    private static string[] Words(Sentence sentence) => sentence.Prompt.Split(' ', ',');
}
