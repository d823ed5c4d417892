using System.Net;
using System.Text;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Http.Pages;

/// <summary>
/// The fields of the page's form, made from the table of options. What the script must know of a field is in its attributes:
/// <c>data-type</c> (how its value is sent) and <c>data-shown-when</c>.
/// </summary>
internal static class OptionFields
{
    /// <summary>The fields of a place, as HTML.</summary>
    public static string Html(FormPlace place)
    {
        var html = new StringBuilder();
        foreach (SweepOption option in SweepOptions.All.Where(option => option.Place == place))
        {
            string shown = option.ShownWhen is string when ? $" data-shown-when=\"{Encoded(when)}\" hidden" : "";
            html.Append($"<div class=\"field\" id=\"{option.Name}-field\"{shown}>").Append(Field(option)).Append($"<ul class=\"faults\" id=\"faults-{option.Name}\"></ul></div>\n");
        }

        return html.ToString();
    }

    private static string Field(SweepOption option)
    {
        string label = $"<label for=\"{option.Name}\">{Encoded(option.Label!)}</label>";
        string named = $"id=\"{option.Name}\" name=\"{option.Name}\"";
        string value = option.Default() is string known ? $" value=\"{Encoded(known)}\"" : "";
        return option.Type switch
        {
            OptionType.Words words => $"{label}<select {named} data-type=\"word\"{(option.Nullable ? "" : $" data-default=\"{option.Default()}\"")}>{Words(option, words)}</select>",
            OptionType.Whole whole => $"{label}<input type=\"number\" {named} data-type=\"whole\" step=\"1\"{Bound("min", whole.Least, int.MinValue)}{Bound("max", whole.Most, int.MaxValue)}{value} required>",
            OptionType.Number number => $"{label}<input type=\"number\" {named} data-type=\"number\" step=\"any\" min=\"{number.Least}\"{value} required>",
            OptionType.Flag => $"<label class=\"check\"><input type=\"checkbox\" {named} data-type=\"flag\"> {Encoded(option.Label!)}</label>",
            OptionType.PathReceivers => $"{label}<input type=\"text\" {named} data-type=\"list\" spellcheck=\"false\" placeholder=\"{Encoded(option.NoneLabel!)}\" aria-describedby=\"{option.Name}-hint\">"
                + $"<p class=\"hint\" id=\"{option.Name}-hint\">{Encoded(option.Help)}: <code>{Encoded(option.Type.Form)}</code></p>",
            OptionType.NodeSets => $"{label}<input type=\"text\" {named} data-type=\"sets\" spellcheck=\"false\" placeholder=\"{Encoded(option.NoneLabel!)}\" aria-describedby=\"{option.Name}-hint\">"
                + $"<p class=\"hint\" id=\"{option.Name}-hint\">{Encoded(option.Help)}</p>",
            OptionType.TokenWeights => $"{label}<input type=\"text\" {named} data-type=\"weights\" spellcheck=\"false\" placeholder=\"{Encoded(option.NoneLabel!)}\" aria-describedby=\"{option.Name}-hint\">"
                + $"<p class=\"hint\" id=\"{option.Name}-hint\">{Encoded(option.Help)}</p>",
            OptionType.PatchPositions => $"{label}<div class=\"beside\"><select {named} data-type=\"positions\">"
                + "<option value=\"all\">all at once</option><option value=\"each\">each by itself</option><option value=\"each-role\">each role</option>"
                + "<option value=\"one\">one</option><option value=\"role\">one role</option></select>"
                + "<input type=\"number\" id=\"position\" name=\"position\" step=\"1\" value=\"-1\" aria-label=\"Position; negative ones count from the end\" title=\"Negative ones count from the end\" hidden>"
                + "<input type=\"text\" id=\"role\" name=\"role\" spellcheck=\"false\" placeholder=\"S2\" aria-label=\"Role that the pairs name\" hidden></div>",
            OptionType.PromptReference => $"{label}<select {named} data-type=\"word\"><option value=\"\">{Encoded(option.NoneLabel!)}</option>"
                + string.Concat(BuiltInDatasets.All.Select(dataset => $"<option value=\"{dataset.Name}\">{dataset.Name}</option>")) + "</select>",
            OptionType.ShortText or OptionType.NodeSet => $"{label}<input type=\"text\" {named} data-type=\"text\" spellcheck=\"false\"{value}{(option.NoneLabel is string none ? $" placeholder=\"{Encoded(none)}\"" : "")}>",
            _ => throw new InvalidOperationException($"The form has no field for an option such as {option.Name}."),
        };
    }

    private static string Words(SweepOption option, OptionType.Words words)
    {
        string none = option.NoneLabel is string label ? $"<option value=\"\">{Encoded(label)}</option>" : "";
        string? known = option.Nullable ? null : option.Default();
        return none + string.Concat(words.Known.GroupBy(word => word.Group).Select(group =>
        {
            string choices = string.Concat(group.Select(word => $"<option value=\"{Encoded(word.Name)}\"{(word.Name == known ? " selected" : "")}>{Encoded(word.Label)}</option>"));
            return group.Key is string heading ? $"<optgroup label=\"{Encoded(heading)}\">{choices}</optgroup>" : choices;
        }));
    }

    private static string Bound(string name, int value, int none) => value == none ? "" : $" {name}=\"{value}\"";

    private static string Encoded(string text) => WebUtility.HtmlEncode(text);
}
