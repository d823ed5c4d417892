using System.Text;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Prompts.PairsFiles;

/// <summary>EAP-IG's CSV, through <see cref="PairsFile"/>.</summary>
public class EapIgFileTests
{
    private const string Header = "clean,corrupted,correct_idx,incorrect_idx\n";

    [Fact]
    public void Quoted_text_lists_of_ids_and_columns_of_other_use_are_read_as_RFC_4180_says()
    {
        PairsFile file = Read("""
            ,clean,corrupted,corrupted_hard,correct_idx,incorrect_idx
            470,"Then, Ann and ""Bo"" gave to","Then, Ann and ""Al"" gave to",x,7,8
            12,"a
            b",c,,"[1, 2]","[ 3 ]"
            """);
        Assert.Equal(
            new PromptPair(Prompt.Of("Then, Ann and \"Bo\" gave to"), Prompt.Of("Then, Ann and \"Al\" gave to"), Answer.Of(7), Answer.Of(8)), file.Pairs[0]);
        Assert.Equal("a\nb", file.Pairs[1].Clean.Text);
        Assert.Equal((AnswerSet.Of([Answer.Of(1), Answer.Of(2)]), Answer.Of(3)), (file.Pairs[1].Correct, file.Pairs[1].Incorrect));
    }

    [Fact]
    public void A_byte_order_mark_and_CR_LF_are_no_part_of_it()
    {
        using var folder = new TemporaryFolder();
        byte[] content = [.. Encoding.UTF8.GetPreamble(), .. Encoding.UTF8.GetBytes(Header.Replace("\n", "\r\n") + "日本,b,1,2\r\n")];
        Assert.Equal("日本", PairsFile.Read(folder.Write("data.csv", content)).Pairs.Single().Clean.Text);
    }

    [Fact]
    public void A_label_is_a_year_with_every_later_ending_right()
    {
        PromptPair pair = Read("clean,corrupted,label\nfrom 1797 to 17,from 1701 to 17,97\n").Pairs.Single();
        Assert.Equal([Answer.Of("98"), Answer.Of("99")], pair.Correct.All);
        Assert.Equal(98, pair.Incorrect.All.Count);
        Assert.Equal(Answer.Of("00"), pair.Incorrect.All[0]);
        Assert.Equal(Answer.Of("97"), pair.Incorrect.All[^1]);
    }

    [Fact]
    public void Faults_of_its_tokens_name_the_line_and_the_column()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("data.csv", Header + "\"a\nb\",c,1,2\n,c,\"[1, 999]\",999\n");
        PairsFile file = PairsFile.Read(path);
        var exception = Assert.Throws<InvalidInputException>(
            () => PairTokenizer.Tokenize(file.Pairs, TestConfig.With(400), SmallTokenizer.Load(), [1], file.Where, "--pair-indices"));
        Assert.Equal([$"{path}:4: clean", $"{path}:4: correct_idx[1]", $"{path}:4: incorrect_idx"], exception.Faults.Select(fault => fault.Where));
    }

    [Theory]
    [InlineData("a,b,1,2\n", FaultKinds.Missing, ":1", "its header is: a, b, 1, 2")]
    [InlineData("clean,corrupted,correct_idx\na,b,1\n", FaultKinds.Missing, ":1", "correct_idx with incorrect_idx or else label")]
    [InlineData("clean,clean,corrupted,label\na,a,b,1\n", FaultKinds.Malformed, ":1", "\"clean\" twice")]
    [InlineData("", FaultKinds.Missing, ":1", "needs the columns")]
    [InlineData(Header, FaultKinds.Missing, "", "holds no pair")]
    [InlineData(Header + "a,b,1,2\na,b,1\n", FaultKinds.Malformed, ":3", "more or fewer fields")]
    [InlineData(Header + "a, b,1,2,3\n", FaultKinds.Malformed, ":2", "more or fewer fields")]
    [InlineData(Header + "a \"b\" c,b,1,2\n", FaultKinds.Malformed, ":2", "quotation mark in it")]
    [InlineData(Header + "a,b,1,2\n\"a,b,1,2\n", FaultKinds.Malformed, ":3", "never closed")]
    [InlineData("cl\"ean,corrupted,label\na,b,1\n", FaultKinds.Malformed, ":1", "quotation mark in it")]
    [InlineData(Header + "a,b,Mary,2\n", FaultKinds.Malformed, ":2: correct_idx", "a token id, or a list of them")]
    [InlineData(Header + "a,b,1,[]\n", FaultKinds.Malformed, ":2: incorrect_idx", "a token id, or a list of them")]
    [InlineData(Header + "a,b,1.0,2\n", FaultKinds.Malformed, ":2: correct_idx", "a token id, or a list of them")]
    [InlineData("clean,corrupted,label\na,b,99\n", FaultKinds.Malformed, ":2: label", "00 to 98")]
    [InlineData("clean,corrupted,label\na,b,1732\n", FaultKinds.Malformed, ":2: label", "00 to 98")]
    public void What_is_wrong_is_told_with_its_line(string content, string kind, string place, string message)
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("data.csv", content);
        Fault fault = Assert.Single(Assert.Throws<InvalidInputException>(() => PairsFile.Read(path)).Faults);
        Assert.Equal((kind, path + place), (fault.Kind, fault.Where));
        Assert.Contains(message, fault.Message);
    }

    [Fact]
    public void Bytes_that_are_not_UTF_8_are_refused_and_not_replaced()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("data.csv", Encoding.Latin1.GetBytes(Header + "Zoë,b,1,2\n"));
        Assert.Contains("not UTF-8", Assert.Single(Assert.Throws<InvalidInputException>(() => PairsFile.Read(path)).Faults).Message);
    }

    private static PairsFile Read(string content)
    {
        using var folder = new TemporaryFolder();
        return PairsFile.Read(folder.Write("data.csv", content));
    }
}
