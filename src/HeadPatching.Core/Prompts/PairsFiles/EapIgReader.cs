using System.Globalization;
using System.Text.Json;
using CsvHelper;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.PairsFiles;

/// <summary>
/// The CSV format of EAP-IG (RFC 4180, with a header): <c>clean</c>, <c>corrupted</c>, and the answers as token ids in <c>correct_idx</c> and
/// <c>incorrect_idx</c>, each one id or a list such as <c>[1, 2]</c>; or, in its greater-than data, a two-digit year in <c>label</c>: right is
/// every ending above it, wrong every other one. Other columns (the row's number, <c>corrupted_hard</c>) are passed over.
/// </summary>
internal static class EapIgReader
{
    private const string Correct = "correct_idx";
    private const string Incorrect = "incorrect_idx";
    private const string Label = "label";

    /// <summary>Reads the pairs; what is wrong is added to the faults.</summary>
    public static IReadOnlyList<PlacedPair> Read(BoundedText text, string path, List<Fault> faults)
    {
        try
        {
            return ReadRows(text.Unbounded, path, faults);
        }
        catch (CsvFormatException e)
        {
            faults.Add(new Fault(
                FaultKinds.TooLarge, path, $"A row has more than {BoundedText.LongestLine >> 20} Mi characters ({e.Message}). Is a quotation mark not closed?"));
            return [];
        }
    }

    private static List<PlacedPair> ReadRows(TextReader reader, string path, List<Fault> faults)
    {
        using var csv = CsvReader.Create(reader, new CsvReaderOptions
        {
            Separator = ',',
            TrackLineNumbers = true,
            MaxRecordSize = BoundedText.LongestLine,
            MalformedData = CsvMalformedDataHandling.Skip,
            FieldCountMismatch = CsvFieldCountHandling.Skip,
            OnMalformedRecord = record => faults.Add(new Fault(FaultKinds.Malformed, $"{path}:{record.LineNumber}", Explain(record.Reason))),
        });
        IReadOnlyList<string> header = csv.Headers;
        // A malformed header is passed over as any line is, and the next line is no header.
        if (faults.Count > 0 || !CheckHeader(header, path, faults))
        {
            return [];
        }

        var pairs = new List<PlacedPair>();
        bool years = !header.Contains(Correct) || !header.Contains(Incorrect);
        while (csv.Read())
        {
            pairs.AddRange(ReadPair(csv.Current, years, $"{path}:{csv.LineNumber}", faults) is PlacedPair pair ? [pair] : []);
        }

        return pairs;
    }

    private static string Explain(CsvMalformedReason reason) => reason switch
    {
        CsvMalformedReason.FieldCountMismatch => "The row has more or fewer fields than the header. A field with a comma in it stands in quotation marks.",
        CsvMalformedReason.UnterminatedQuote => "The quotation mark that opens a field here is never closed.",
        _ => "A field with a quotation mark in it stands in quotation marks, and has each of its own twice.",
    };

    private static bool CheckHeader(IReadOnlyList<string> header, string path, List<Fault> faults)
    {
        int before = faults.Count;
        foreach (string twice in header.GroupBy(name => name).Where(group => group.Count() > 1).Select(group => group.Key))
        {
            faults.Add(new Fault(FaultKinds.Malformed, $"{path}:1", $"The header has the column \"{twice}\" twice."));
        }

        if (!header.Contains("clean") || !header.Contains("corrupted") || (!(header.Contains(Correct) && header.Contains(Incorrect)) && !header.Contains(Label)))
        {
            faults.Add(new Fault(
                FaultKinds.Missing,
                $"{path}:1",
                $"A .csv file is an EAP-IG dataset. It needs the columns clean, corrupted, and {Correct} with {Incorrect} or else {Label}; its header is: "
                + $"{string.Join(", ", header)}."));
        }

        return faults.Count == before;
    }

    /// <summary>The pair of a row, or null where it has faults, which are added.</summary>
    private static PlacedPair? ReadPair(CsvRow row, bool years, string where, List<Fault> faults)
    {
        int before = faults.Count;
        var (correct, incorrect) = years
            ? Endings(row[Label].ToString(), Where("correct"), faults)
            : (Ids(row[Correct].ToString(), Where("correct"), faults), Ids(row[Incorrect].ToString(), Where("incorrect"), faults));
        var pair = new PromptPair(Prompt.Of(row["clean"].ToString()), Prompt.Of(row["corrupted"].ToString()), correct, incorrect);
        return faults.Count == before ? new PlacedPair(pair, Where) : null;

        string Where(string? property) => property switch
        {
            null => where,
            "correct" => $"{where}: {(years ? Label : Correct)}",
            "incorrect" => $"{where}: {(years ? Label : Incorrect)}",
            _ => $"{where}: {property}",
        };
    }

    /// <summary>One id or a list of them, as Python writes it.</summary>
    private static AnswerSet Ids(string text, string where, List<Fault> faults)
    {
        if (int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out int only))
        {
            return Answer.Of(only);
        }

        try
        {
            if (JsonSerializer.Deserialize<int[]>(text) is [_, ..] ids)
            {
                return AnswerSet.Of([.. ids.Select(Answer.Of)]);
            }
        }
        catch (JsonException)
        {
            // Said below.
        }

        faults.Add(new Fault(FaultKinds.Malformed, where, "It is a token id, or a list of them such as [1, 2]."));
        return default;
    }

    /// <summary>The two-digit endings above a year, and the other ones.</summary>
    private static (AnswerSet Above, AnswerSet Others) Endings(string text, string where, List<Fault> faults)
    {
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int year) || year > 98)
        {
            faults.Add(new Fault(FaultKinds.Malformed, where, "It is a year's last two digits, 00 to 98 (above 99 there is none)."));
            return default;
        }

        ILookup<bool, Answer> endings = Enumerable.Range(0, 100)
            .ToLookup(ending => ending > year, ending => Answer.Of(ending.ToString("00", CultureInfo.InvariantCulture)));
        return (AnswerSet.Of([.. endings[true]]), AnswerSet.Of([.. endings[false]]));
    }
}
