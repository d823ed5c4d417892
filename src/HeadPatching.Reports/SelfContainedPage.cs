using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.RegularExpressions;

namespace HeadPatching.Reports;

/// <summary>
/// A page of one file: NAME.html, NAME.css and NAME.js of the assets, with the styles of the report and the script that such pages share. A content
/// security policy in it allows no script but its own, and no other file.
/// </summary>
internal static partial class SelfContainedPage
{
    /// <summary>Writes a page.</summary>
    /// <param name="name">The assets' name.</param>
    /// <param name="title">What stands in the browser's tab.</param>
    /// <param name="texts">What is put into the page's places, as text.</param>
    /// <param name="data">What the script reads: JSON without the characters that HTML knows (<see cref="ReportPage.DataJson"/>).</param>
    /// <param name="to">The file.</param>
    public static void Write(string name, string title, IReadOnlyDictionary<string, string> texts, string data, Stream to)
    {
        var parts = texts.ToDictionary(text => text.Key, text => HtmlEncoder.Default.Encode(text.Value));
        parts["title"] = HtmlEncoder.Default.Encode(title);
        parts["style"] = PageStyle.Css + EmbeddedAsset.Text("report.css") + EmbeddedAsset.Text($"{name}.css");
        parts["data"] = data;
        Fill($"{name}.html", parts, ["figures.js", $"{name}.js"], to);
    }

    /// <summary>Fills the places of a template.</summary>
    /// <param name="template">The asset.</param>
    /// <param name="parts">What is put into each place, as it is.</param>
    /// <param name="scripts">The files of the page's script, in order; it is the only one that its policy allows.</param>
    /// <param name="to">The file.</param>
    public static void Fill(string template, Dictionary<string, string> parts, IReadOnlyList<string> scripts, Stream to)
    {
        // Everything that is shown comes from the data block of the page, and texts enter it as text only (textContent): token texts, names and
        // warnings are whatever somebody put into a prompts file.
        string script = $"\"use strict\";\n(() => {{\n{string.Join('\n', scripts.Prepend("elements.js").Select(EmbeddedAsset.Text))}}})();\n";
        parts["script"] = script;
        parts["script-hash"] = "sha256-" + Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(script)));
        using var writer = new StreamWriter(to, leaveOpen: true);
        // Only the template is searched for places to fill, not what is filled in.
        writer.Write(Place().Replace(EmbeddedAsset.Text(template), place => parts[place.Groups[1].Value]));
    }

    [GeneratedRegex(@"\{\{([a-z-]+)\}\}")]
    private static partial Regex Place();
}
