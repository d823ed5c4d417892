using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace HeadPatching.Http.Tests;

/// <summary>Bodies that no well-meaning program sends: random bytes, random JSON, and valid requests changed at random. By a seed.</summary>
internal sealed class HostileBodies(int seed)
{
    private static readonly string[] Seeds =
    [
        "{}",
        """{"model": "ioi-demo", "dataset": "ioi", "patch": "z", "positions": "all", "direction": "denoise", "metric": "rank", "seed": 3, "aggregation": "mean-of-ratios", "threshold": 0.1, "top": 20, "dtype": "float32", "device": "auto", "memoryMiB": 64}""",
        """{"pairs": [{"clean": "When Mary and John went to the store, John gave a drink to", "corrupted": "When Mary and John went to the store, Mary gave a drink to", "correct": " Mary", "incorrect": " John"}], "name": "mine", "pairIndices": [0]}""",
        """{"pairs": [{"clean": [1, 2, 3], "corrupted": [1, 4, 3], "correct": 5, "incorrect": 6}], "positions": -1}""",
    ];

    private static readonly string[] Oddities =
    [
        "null", "true", "[]", "{}", "\"\"", "0", "-1", "1e999", "-0.0", "2147483648", "9223372036854775808", "0.1", "NaN", "Infinity", "\"\\u0000\"",
        "\"\\ud83d\"", "\"../../etc/passwd\"", "\"C:\\\\windows\"", "\"%2e%2e%2f\"", "\"<script>alert(1)</script>\"", "\"'; DROP TABLE sweeps; --\"",
        "\"\\r\\nSet-Cookie: a=b\"", "[[[[[[[[[[[[]]]]]]]]]]]]", "{\"$type\": \"System.Diagnostics.Process\"}", "{\"__proto__\": {}}", "\"ﷺ\"", "\"each\"", "[2147483647]", "[-5]",
    ];

    private readonly Random _random = new(seed);

    /// <summary>The bodies, of all kinds in turn.</summary>
    public IEnumerable<byte[]> Take(int count)
    {
        for (int i = 0; i < count; i++)
        {
            yield return (i % 4) switch
            {
                0 => RandomBytes(),
                1 => Encoding.UTF8.GetBytes(RandomJson(depth: 0)),
                2 => ChangedBytes(),
                _ => Encoding.UTF8.GetBytes(ChangedJson()),
            };
        }
    }

    private byte[] RandomBytes()
    {
        byte[] bytes = new byte[_random.Next(300)];
        _random.NextBytes(bytes);
        return bytes;
    }

    private string RandomJson(int depth)
    {
        int kind = _random.Next(depth > 6 ? 1 : 4);
        return kind switch
        {
            2 => $"[{string.Join(',', Enumerable.Range(0, _random.Next(5)).Select(_ => RandomJson(depth + 1)))}]",
            3 => $"{{{string.Join(',', Enumerable.Range(0, _random.Next(5)).Select(_ => $"{JsonSerializer.Serialize(RandomName())}: {RandomJson(depth + 1)}"))}}}",
            _ => Pick(Oddities),
        };
    }

    private string RandomName() => Pick(
        "model", "dataset", "pairs", "patch", "positions", "threshold", "top", "clean", "corrupted", "correct", "incorrect", "pairIndices", "memoryMiB", "", "a.b", "$", "\u0000");

    private byte[] ChangedBytes()
    {
        var bytes = Encoding.UTF8.GetBytes(Pick(Seeds)).ToList();
        for (int changes = _random.Next(1, 5); changes > 0 && bytes.Count > 0; changes--)
        {
            int at = _random.Next(bytes.Count);
            int length = _random.Next(1, Math.Min(20, bytes.Count - at) + 1);
            switch (_random.Next(4))
            {
                case 0:
                    bytes[at] = (byte)_random.Next(256);
                    break;
                case 1:
                    bytes.RemoveRange(at, length);
                    break;
                case 2:
                    bytes.InsertRange(at, bytes.GetRange(at, length));
                    break;
                default:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
            }
        }

        return [.. bytes];
    }

    private string ChangedJson()
    {
        // The place of one value is marked, so that what comes there may be no JSON at all.
        JsonNode root = JsonNode.Parse(Pick(Seeds))!;
        JsonNode[] values = [.. Descendants(root)];
        if (values.Length == 0)
        {
            return $"{{\"{RandomName()}\": {Pick(Oddities)}}}".Replace("\0", "\\u0000", StringComparison.Ordinal);
        }

        Pick(values).ReplaceWith("HERE");
        return root.ToJsonString().Replace("\"HERE\"", Pick(Oddities), StringComparison.Ordinal);
    }

    private static List<JsonNode> Descendants(JsonNode node)
    {
        IEnumerable<JsonNode?> children = node switch
        {
            JsonObject o => o.Select(property => property.Value),
            JsonArray a => a,
            _ => [],
        };
        return [.. children.OfType<JsonNode>().SelectMany(child => Descendants(child).Prepend(child))];
    }

    private T Pick<T>(params T[] from) => from[_random.Next(from.Length)];
}
