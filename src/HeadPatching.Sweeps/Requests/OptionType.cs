using System.Globalization;
using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Results;

namespace HeadPatching.Sweeps.Requests;

/// <summary>A value that an option can have, with its name in requests and results and what a form calls it.</summary>
/// <param name="Name">The name, such as <c>attn_out</c>.</param>
/// <param name="Value">The value.</param>
/// <param name="Label">What it is, in a few words.</param>
/// <param name="Group">Under which heading a form lists it; null for none.</param>
public sealed record OptionWord(string Name, object Value, string Label, string? Group = null);

/// <summary>What the values of an option are, and how they are written on a command line. The union is closed: its readers switch over it.</summary>
public abstract record OptionType
{
    private OptionType()
    {
    }

    /// <summary>How help writes the value, such as <c>N</c>.</summary>
    public abstract string Form { get; }

    /// <summary>Reads the value as the command line gives it.</summary>
    /// <param name="text">What was written.</param>
    /// <param name="fault">Told what is wrong, without the option's name; may be called several times.</param>
    /// <returns>The value; null where there is a fault.</returns>
    public abstract object? Parse(string text, Action<string> fault);

    /// <summary>What is wrong with a value of the right type, or null.</summary>
    public virtual string? FaultOf(object value) => null;

    /// <summary>How a value is written.</summary>
    public virtual string Text(object value) => Convert.ToString(value, CultureInfo.InvariantCulture)!;

    private static int? WholeOf(string text) =>
        int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out int value) ? value : null;

    /// <summary>One of a few words.</summary>
    /// <param name="Known">The words, in the order of the help.</param>
    public sealed record Words(IReadOnlyList<OptionWord> Known) : OptionType
    {
        /// <inheritdoc/>
        public override string Form => string.Join('|', Known.Select(word => word.Name));

        /// <summary>The values of an enumeration.</summary>
        /// <param name="label">What a form calls each; its name without hyphens where this gives null.</param>
        /// <param name="group">Under which heading a form lists it.</param>
        public static Words Of<T>(Func<T, string?>? label = null, Func<T, string?>? group = null)
            where T : struct, Enum =>
            new([.. Enum.GetValues<T>().Select(value => new OptionWord(
                value.NameOf(), value, label?.Invoke(value) ?? value.NameOf().Replace('-', ' '), group?.Invoke(value)))]);

        /// <inheritdoc/>
        public override object? Parse(string text, Action<string> fault)
        {
            object? value = Find(text);
            if (value is null)
            {
                fault($"there is no {Untrusted.Show(text)}.{DidYouMean(text)} Known: {string.Join(", ", Known.Select(word => word.Name))}.");
            }

            return value;
        }

        /// <summary>Which word was probably meant, as the end of a message (<see cref="Suggestion.DidYouMean"/>).</summary>
        public string DidYouMean(string? given) => Suggestion.DidYouMean(given ?? "", Known.Select(word => word.Name));

        /// <summary>The value of a name, or null.</summary>
        public object? Find(string? name) => Known.FirstOrDefault(word => word.Name == name)?.Value;

        /// <inheritdoc/>
        public override string Text(object value) => Known.First(word => word.Value.Equals(value)).Name;
    }

    /// <summary>A whole number.</summary>
    /// <param name="Least">The least that is allowed.</param>
    /// <param name="Most">The most that is allowed.</param>
    public sealed record Whole(int Least = int.MinValue, int Most = int.MaxValue) : OptionType
    {
        /// <inheritdoc/>
        public override string Form => "N";

        /// <inheritdoc/>
        public override object? Parse(string text, Action<string> fault)
        {
            int? value = WholeOf(text);
            if (value is null)
            {
                fault($"'{text}' is not a whole number.");
            }

            return value;
        }

        /// <inheritdoc/>
        public override string? FaultOf(object value) => (int)value >= Least && (int)value <= Most ? null
            : Most == int.MaxValue ? string.Create(CultureInfo.InvariantCulture, $"The number is at least {Least}; it is {value}.")
            : string.Create(CultureInfo.InvariantCulture, $"The number is {Least} to {Most}; it is {value}.");
    }

    /// <summary>A number from <paramref name="Least"/> on.</summary>
    /// <param name="Least">The least that is allowed.</param>
    public sealed record Number(double Least) : OptionType
    {
        /// <inheritdoc/>
        public override string Form => "NUMBER";

        /// <inheritdoc/>
        public override object? Parse(string text, Action<string> fault)
        {
            if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value))
            {
                return value;
            }

            fault($"'{text}' is not a number.");
            return null;
        }

        /// <inheritdoc/>
        public override string? FaultOf(object value) => double.IsFinite((double)value) && (double)value >= Least
            ? null
            : string.Create(CultureInfo.InvariantCulture, $"The value is a number from {Least} on.");
    }

    /// <summary>Said or not.</summary>
    public sealed record Flag : OptionType
    {
        /// <inheritdoc/>
        public override string Form => "";

        /// <inheritdoc/>
        public override object? Parse(string text, Action<string> fault) => true;

        /// <inheritdoc/>
        public override string Text(object value) => (bool)value ? "yes" : "no";
    }

    /// <summary>A short text.</summary>
    /// <param name="Form">How help writes it.</param>
    /// <param name="Most">The most characters of it over HTTP; null: as of any short text.</param>
    public sealed record ShortText(string Form, int? Most = null) : OptionType
    {
        /// <inheritdoc/>
        public override string Form { get; } = Form;

        /// <inheritdoc/>
        public override object? Parse(string text, Action<string> fault) => text;
    }

    /// <summary>A set of nodes; on the command line also a file that another program has written.</summary>
    public sealed record NodeSet : OptionType
    {
        /// <inheritdoc/>
        public override string Form => "L9H6,L9H9|FILE";

        /// <summary>A file is read by who asks for it.</summary>
        public override object? Parse(string text, Action<string> fault) => text;
    }

    /// <summary>Sets of nodes; on the command line with semicolons between them, or a file with one a line.</summary>
    public sealed record NodeSets : OptionType
    {
        /// <summary>More sets than this are no question that somebody asks.</summary>
        public const int Most = 10_000;

        /// <summary>The most characters of a set.</summary>
        public const int LongestSet = 20_000;

        /// <inheritdoc/>
        public override string Form => "L9H6,L9H9;M8|FILE";

        /// <summary>A file is read by who asks for it.</summary>
        public override object? Parse(string text, Action<string> fault) => text;

        /// <inheritdoc/>
        public override string? FaultOf(object value) => ((IReadOnlyList<string>)value).Count is 0 or > Most ? $"There are 1 to {Most} sets." : null;

        /// <inheritdoc/>
        public override string Text(object value) => string.Join(';', (IReadOnlyList<string>)value);
    }

    /// <summary>Whole numbers in a list.</summary>
    /// <param name="Least">The least that each may be.</param>
    /// <param name="Most">The most that there may be; null: as many as pairs.</param>
    /// <param name="Named">What one is called in a message.</param>
    public sealed record Indices(int Least = int.MinValue, int? Most = null, string Named = "indices") : OptionType
    {
        /// <inheritdoc/>
        public override string? FaultOf(object value)
        {
            var numbers = (IReadOnlyList<int>)value;
            return Most is int most && numbers.Count > most ? $"There are {numbers.Count} {Named}; at most {most} are allowed."
                : numbers.Any(number => number < Least) ? string.Create(CultureInfo.InvariantCulture, $"The {Named} are {Least} at the least.")
                : null;
        }

        /// <inheritdoc/>
        public override string Form => "0,2";

        /// <inheritdoc/>
        public override object? Parse(string text, Action<string> fault)
        {
            var indices = new List<int>();
            foreach (string part in text.Split(','))
            {
                if (WholeOf(part) is int index)
                {
                    indices.Add(index);
                }
                else
                {
                    fault($"'{part}' is not a whole number. Give {Named} with commas between them, such as 0,2.");
                }
            }

            return indices.ToArray();
        }
    }

    /// <summary>Where paths end.</summary>
    public sealed record PathReceivers : OptionType
    {
        /// <inheritdoc/>
        public override string Form => "logits|L9H6.q,...";

        /// <inheritdoc/>
        public override object? Parse(string text, Action<string> fault)
        {
            var receivers = new List<Receiver>();
            foreach (string part in text.Split(','))
            {
                if (Receiver.TryParse(part, out Receiver receiver))
                {
                    receivers.Add(receiver);
                }
                else
                {
                    fault($"'{part}' is none. {Receiver.Form}");
                }
            }

            return receivers.ToArray();
        }
    }

    /// <summary>Tokens and their weights; on the command line as in JSON.</summary>
    public sealed record TokenWeights : OptionType
    {
        /// <summary>More tokens than this are no metric that somebody wrote.</summary>
        public const int Most = 1000;

        private const int LongestToken = 255;
        private const string Wanted = "Give an object of tokens and their weights, such as {\" he\": 1, \" she\": -1}.";

        /// <inheritdoc/>
        public override string Form => "'{\" he\": 1, \" she\": -1}'";

        /// <inheritdoc/>
        public override object? Parse(string text, Action<string> fault)
        {
            try
            {
                using JsonDocument json = JsonDocument.Parse(text);
                return Read(json.RootElement, fault);
            }
            catch (JsonException)
            {
                fault(Wanted);
                return null;
            }
        }

        /// <summary>The weights of a JSON object, or null where they cannot be read.</summary>
        /// <param name="json">The object.</param>
        /// <param name="fault">Told what is wrong.</param>
        public static IReadOnlyDictionary<string, double>? Read(JsonElement json, Action<string> fault)
        {
            if (json.ValueKind != JsonValueKind.Object)
            {
                fault(Wanted);
                return null;
            }

            var weights = new Dictionary<string, double>();
            foreach (JsonProperty one in json.EnumerateObject())
            {
                if (one.Value.ValueKind != JsonValueKind.Number || !one.Value.TryGetDouble(out double weight) || !double.IsFinite(weight))
                {
                    fault($"The weight of \"{one.Name}\" is not a number. {Wanted}");
                    return null;
                }

                if (!weights.TryAdd(one.Name, weight))
                {
                    fault($"\"{one.Name}\" is there twice.");
                    return null;
                }
            }

            return weights;
        }

        /// <inheritdoc/>
        public override string? FaultOf(object value)
        {
            var weights = (IReadOnlyDictionary<string, double>)value;
            return weights.Count is 0 or > Most ? $"A metric of your own is of 1 to {Most} tokens."
                : weights.Keys.Any(token => token.Length is 0 or > LongestToken) ? $"A token has 1 to {LongestToken} characters."
                : null;
        }
    }

    /// <summary>Where a patch is made.</summary>
    public sealed record PatchPositions : OptionType
    {
        /// <inheritdoc/>
        public override string Form => "all|each|each-role|N|ROLE";

        /// <inheritdoc/>
        public override object? Parse(string text, Action<string> fault)
        {
            if (Positions.TryParse(text, out Positions positions))
            {
                return positions;
            }

            fault($"'{text}' is none. {Positions.Form}");
            return null;
        }
    }

    /// <summary>Prompt pairs; on the command line a file of them.</summary>
    public sealed record PromptPairs : OptionType
    {
        /// <inheritdoc/>
        public override string Form => "FILE";

        /// <summary>A file is read by who asks for it: its faults have lines.</summary>
        public override object? Parse(string text, Action<string> fault) => text;
    }

    /// <summary>Prompts to refer to: a dataset's name, or pairs; on the command line a file of them.</summary>
    public sealed record PromptReference : OptionType
    {
        /// <inheritdoc/>
        public override string Form => "NAME|FILE";

        /// <summary>A file is read by who asks for it: its faults have lines.</summary>
        public override object? Parse(string text, Action<string> fault) => text;

        /// <inheritdoc/>
        public override string Text(object value) => ((ReferencePrompts)value).Title;
    }
}
