using System.Text.Json;
using System.Text.Json.Serialization;

namespace HeadPatching.Core.Results;

/// <summary>An interval that holds the true value in 95 of 100 cases. In JSON <c>[low, high]</c>.</summary>
/// <param name="Low">The lower end.</param>
/// <param name="High">The upper end.</param>
[JsonConverter(typeof(ConfidenceIntervalJsonConverter))]
public readonly record struct ConfidenceInterval(double Low, double High)
{
    private sealed class ConfidenceIntervalJsonConverter : JsonConverter<ConfidenceInterval>
    {
        public override ConfidenceInterval Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            JsonSerializer.Deserialize<double[]>(ref reader, options) is [double low, double high]
                ? new ConfidenceInterval(low, high)
                : throw new JsonException("A confidence interval is an array of two numbers.");

        public override void Write(Utf8JsonWriter writer, ConfidenceInterval value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, (double[])[value.Low, value.High], options);
    }
}
