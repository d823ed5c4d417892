using System.Text;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Prompts;

public class PairsFileTests
{
    private const string Good = """{"clean": "a b", "corrupted": [1, 2], "correct": " Mary", "incorrect": 7}""";

    [Fact]
    public void Text_and_ids_are_read_and_every_pair_knows_its_line()
    {
        using var folder = new TemporaryFolder();
        PairsFile file = PairsFile.Read(folder.Write("pairs.jsonl", $"{Good}\n\n   \t\r\n{Good}\r\n{Good}"));
        Assert.Equal([":1", ":4", ":5: clean"], new[] { file.Where(0, null), file.Where(1, null), file.Where(2, "clean") }.Select(where => where.Split(".jsonl")[1]));
        PromptPair pair = file.Pairs[0];
        Assert.Equal("a b", pair.Clean.Text);
        Assert.Equal([1, 2], pair.Corrupted.Ids!);
        Assert.Equal((Answer.Of(" Mary"), Answer.Of(7)), (pair.Correct, pair.Incorrect));
    }

    [Fact]
    public void An_answer_may_be_several_and_written_pairs_are_read_as_they_were()
    {
        using var folder = new TemporaryFolder();
        const string Several = """{"clean":"a \"b\" é","corrupted":[1,2],"correct":[" Mary",7],"incorrect":[8]}""";
        IReadOnlyList<PromptPair> pairs = PairsFile.Read(folder.Write("pairs.jsonl", $"{Several}\n{Good}")).Pairs;
        Assert.Equal([Answer.Of(" Mary"), Answer.Of(7)], pairs[0].Correct.All);
        Assert.Equal(Answer.Of(8), pairs[0].Incorrect);

        PairsFile.Write(folder["written.jsonl"], pairs);
        Assert.Equal(Several.Replace("[8]", "8"), File.ReadLines(folder["written.jsonl"]).First());
        IReadOnlyList<PromptPair> again = PairsFile.Read(folder["written.jsonl"]).Pairs;
        Assert.Equal(
            pairs.Select(pair => (pair.Clean, pair.Correct, pair.Incorrect)), again.Select(pair => (pair.Clean, pair.Correct, pair.Incorrect)));
        Assert.Equal(pairs.SelectMany(pair => pair.Corrupted.Ids!), again.SelectMany(pair => pair.Corrupted.Ids!));
    }

    [Fact]
    public void Roles_and_templates_are_read_and_written_as_they_were()
    {
        using var folder = new TemporaryFolder();
        const string Named = """{"clean":"a b","corrupted":[1,2],"correct":1,"incorrect":2,"roles":{"IO":2,"S1+1":0,"END":-1},"template":"[IO] x"}""";
        IReadOnlyList<PromptPair> pairs = PairsFile.Read(folder.Write("pairs.jsonl", $"{Named}\n{Good}")).Pairs;
        Assert.Equal(new Dictionary<string, int> { ["IO"] = 2, ["S1+1"] = 0, ["END"] = -1 }, pairs[0].Roles!);
        Assert.Equal(("[IO] x", null, null), (pairs[0].Template, pairs[1].Template, pairs[1].Roles));
        PairsFile.Write(folder["written.jsonl"], pairs);
        Assert.Equal(Named, File.ReadLines(folder["written.jsonl"]).First());
    }

    [Fact]
    public void A_file_that_cannot_be_written_is_named()
    {
        using var folder = new TemporaryFolder();
        var exception = Assert.Throws<InvalidInputException>(() => PairsFile.Write(folder["none/pairs.jsonl"], []));
        Assert.Equal((FaultKinds.CannotWrite, folder["none/pairs.jsonl"]), (exception.Faults[0].Kind, exception.Faults[0].Where));
    }

    [Fact]
    public void A_byte_order_mark_is_no_part_of_the_first_pair()
    {
        using var folder = new TemporaryFolder();
        byte[] marked = [.. Encoding.UTF8.GetPreamble(), .. Encoding.UTF8.GetBytes(Good.Replace("a b", "日本"))];
        Assert.Equal("日本", PairsFile.Read(folder.Write("pairs.jsonl", marked)).Pairs[0].Clean.Text);
        Assert.Single(PairsFile.Read(folder.Write("utf16.jsonl", [.. Encoding.Unicode.GetPreamble(), .. Encoding.Unicode.GetBytes(Good)])).Pairs);
    }

    [Theory]
    [InlineData("""{"clean": "a", """, FaultKinds.Malformed, "", "not one JSON object")]
    [InlineData("clean,corrupted", FaultKinds.Malformed, "", "not one JSON object")]
    [InlineData("""{"clean": "a"} {"clean": "b"}""", FaultKinds.Malformed, "", "not one JSON object")]
    [InlineData("""{"clean": "a", "clean": "a"}""", FaultKinds.Malformed, "", "clean")]
    [InlineData("""["a", "b", 1, 2]""", FaultKinds.Malformed, "", "A pair is a JSON object with clean, corrupted, correct, incorrect")]
    [InlineData("""{"clean": "a", "corrupted": "b", "correct": 1}""", FaultKinds.Missing, "", "no \"incorrect\"")]
    [InlineData("""{"clean": "a", "corrupted": "b", "correct": 1, "incorrect": 2, "label": 3}""", FaultKinds.UnknownProperty, "", "\"label\"")]
    [InlineData("""{"clean": 1, "corrupted": "b", "correct": 1, "incorrect": 2}""", FaultKinds.Malformed, ": clean", "A prompt is a string or an array")]
    [InlineData("""{"clean": "a", "corrupted": null, "correct": 1, "incorrect": 2}""", FaultKinds.Malformed, ": corrupted", "A prompt is a string or an array")]
    [InlineData("""{"clean": [1, 2.5], "corrupted": "b", "correct": 1, "incorrect": 2}""", FaultKinds.Malformed, ": clean", "whole numbers")]
    [InlineData("""{"clean": [[1]], "corrupted": "b", "correct": 1, "incorrect": 2}""", FaultKinds.Malformed, ": clean", "whole numbers")]
    [InlineData("""{"clean": [99999999999], "corrupted": "b", "correct": 1, "incorrect": 2}""", FaultKinds.Malformed, ": clean", "whole numbers")]
    [InlineData("""{"clean": "a", "corrupted": "b", "correct": [1, [2]], "incorrect": 2}""", FaultKinds.Malformed, ": correct[1]", "An answer is")]
    [InlineData("""{"clean": "a", "corrupted": "b", "correct": [true], "incorrect": 2}""", FaultKinds.Malformed, ": correct[0]", "An answer is")]
    [InlineData("""{"clean": "a", "corrupted": "b", "correct": [], "incorrect": 2}""", FaultKinds.Malformed, ": correct", "no answer")]
    [InlineData("""{"clean": "a", "corrupted": "b", "correct": 1, "incorrect": null}""", FaultKinds.Malformed, ": incorrect", "An answer is")]
    [InlineData("""{"clean": "\ud83d", "corrupted": "b", "correct": 1, "incorrect": 2}""", FaultKinds.Malformed, ": clean", "surrogate")]
    [InlineData("""{"\ud83d": "a", "clean": "a", "corrupted": "b", "correct": 1, "incorrect": 2}""", FaultKinds.Malformed, "", "surrogate")]
    [InlineData("""{"clean": "a", "corrupted": "b", "correct": 1, "incorrect": 2, "roles": [1]}""", FaultKinds.Malformed, ": roles", "Roles are an object")]
    [InlineData("""{"clean": "a", "corrupted": "b", "correct": 1, "incorrect": 2, "roles": {}}""", FaultKinds.Malformed, ": roles", "Roles are an object")]
    [InlineData("""{"clean": "a", "corrupted": "b", "correct": 1, "incorrect": 2, "roles": {"S2": "3"}}""", FaultKinds.Malformed, ": roles.S2", "whole number")]
    [InlineData("""{"clean": "a", "corrupted": "b", "correct": 1, "incorrect": 2, "roles": {"each": 3}}""", FaultKinds.Malformed, ": roles", "\"each\" is no role's name")]
    [InlineData("""{"clean": "a", "corrupted": "b", "correct": 1, "incorrect": 2, "roles": {"2S": 3}}""", FaultKinds.Malformed, ": roles", "begins with a letter")]
    [InlineData("""{"clean": "a", "corrupted": "b", "correct": 1, "incorrect": 2, "roles": {"S": 1, "S": 2}}""", FaultKinds.Malformed, "", "S")]
    [InlineData("""{"clean": "a", "corrupted": "b", "correct": 1, "incorrect": 2, "template": 3}""", FaultKinds.Malformed, ": template", "A template is a text")]
    public void A_malformed_line_is_refused_with_its_number(string line, string kind, string property, string message)
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("pairs.jsonl", $"{Good}\n\n{line}\n{Good}\n");
        Fault fault = Assert.Single(Faults(path));
        Assert.Equal(kind, fault.Kind);
        Assert.Equal($"{path}:3{property}", fault.Where);
        Assert.Contains(message, fault.Message);
        Assert.DoesNotContain("HeadPatching", fault.Message);
        Assert.DoesNotContain("LineNumber", fault.Message);
    }

    [Fact]
    public void Everything_wrong_with_a_line_is_told_at_once()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("pairs.jsonl", """{"claen": "a", "corrupted": 1, "correct": true}""");
        Assert.Equal(
            [FaultKinds.UnknownProperty, FaultKinds.Missing, FaultKinds.Malformed, FaultKinds.Malformed, FaultKinds.Missing],
            Faults(path).Select(fault => fault.Kind));
    }

    [Fact]
    public void Of_very_many_faults_the_first_are_told_and_the_rest_counted()
    {
        using var folder = new TemporaryFolder();
        IReadOnlyList<Fault> faults = Faults(folder.Write("pairs.jsonl", string.Concat(Enumerable.Repeat("x\n", 50))));
        Assert.Equal(21, faults.Count);
        Assert.Equal("and 30 more.", faults[^1].Message);
    }

    [Fact]
    public void A_missing_file_is_named()
    {
        using var folder = new TemporaryFolder();
        foreach (string path in new[] { Path.Combine(folder.Path, "none.jsonl"), Path.Combine(folder.Path, "none", "none.jsonl"), folder.Path, "" })
        {
            Fault fault = Assert.Single(Faults(path));
            Assert.Equal((FaultKinds.NotFound, path), (fault.Kind, fault.Where));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n  \n")]
    public void A_file_without_pairs_is_refused(string content)
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(FaultKinds.Missing, Assert.Single(Faults(folder.Write("pairs.jsonl", content))).Kind);
    }

    [Fact]
    public void Bytes_that_are_not_UTF_8_are_refused_and_not_replaced()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("pairs.jsonl", Encoding.Latin1.GetBytes(Good.Replace("Mary", "Zoë")));
        Assert.Contains("not UTF-8", Assert.Single(Faults(path)).Message);
    }

    /// <summary>It is not read to its end: a line of a gigabyte would take four in memory.</summary>
    [Theory]
    [InlineData("pairs.jsonl", ":2", "The line has more than 64 Mi characters")]
    [InlineData("pairs.csv", "", "Is a quotation mark not closed?")]
    public void A_line_that_is_far_too_long_is_refused_with_its_number(string name, string where, string message)
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write(name, name.EndsWith("csv", StringComparison.Ordinal) ? "clean,corrupted,correct_idx,incorrect_idx\n\"" : Good + "\n");
        using (FileStream file = File.OpenWrite(path))
        {
            file.Seek(0, SeekOrigin.End);
            byte[] megabyte = [.. Enumerable.Repeat((byte)'a', 1 << 20)];
            for (int i = 0; i < 140; i++)
            {
                file.Write(megabyte);
            }
        }

        long before = GC.GetTotalAllocatedBytes();
        Fault fault = Assert.Single(Faults(path));
        Assert.Equal((FaultKinds.TooLarge, path + where), (fault.Kind, fault.Where));
        Assert.Contains(message, fault.Message);
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 1L << 30);
    }

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    [InlineData("\r")]
    public void Lines_may_end_as_any_system_ends_them_and_be_longer_than_what_is_read_at_once(string end)
    {
        using var folder = new TemporaryFolder();
        string[] lines = [.. Enumerable.Range(0, 300).Select(i => Good.Replace("a b", new string('x', i * 700 % 200_000)))];
        PairsFile file = PairsFile.Read(folder.Write("pairs.jsonl", string.Join(end, lines)));
        Assert.Equal(lines.Length, file.Pairs.Count);
        Assert.All(file.Pairs.Index(), pair => Assert.Equal(pair.Index * 700 % 200_000, pair.Item.Clean.Text!.Length));
        Assert.EndsWith(":300", file.Where(299, null));
    }

    private static IReadOnlyList<Fault> Faults(string path) => Assert.Throws<InvalidInputException>(() => PairsFile.Read(path)).Faults;
}
