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
        string script = EmbeddedAsset.Text("figures.js") + EmbeddedAsset.Text($"{name}.js");
        var parts = texts.ToDictionary(text => text.Key, text => HtmlEncoder.Default.Encode(text.Value));
        parts["title"] = HtmlEncoder.Default.Encode(title);
        parts["style"] = PageStyle.Css + EmbeddedAsset.Text("report.css") + EmbeddedAsset.Text($"{name}.css");
        parts["data"] = data;
        parts["script"] = script;
        parts["script-hash"] = "sha256-" + Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(script)));
        using var writer = new StreamWriter(to, leaveOpen: true);
        // Only the template is searched for places to fill, not what is filled in.
        writer.Write(Place().Replace(EmbeddedAsset.Text($"{name}.html"), place => parts[place.Groups[1].Value]));
    }

    [GeneratedRegex(@"\{\{([a-z-]+)\}\}")]
    private static partial Regex Place();
}
