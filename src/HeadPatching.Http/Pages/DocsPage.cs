using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using HeadPatching.Http.OpenApi;

namespace HeadPatching.Http.Pages;

/// <summary>The page that describes the API, made of the OpenAPI document: every call with its parameters, body, answers and an example, and every type.</summary>
internal static class DocsPage
{
    private const string Place = "<!-- the API -->";
    private static readonly string[] Methods = ["get", "post", "put", "delete"];

    // A body that does something, of the calls that take one.
    private static readonly Dictionary<string, string> Bodies = new()
    {
        ["submitSweep"] = """{"model": "ioi-demo", "dataset": "ioi", "patch": "z"}""",
        ["submitSeries"] = """{"models": ["step-100", "step-200"], "dataset": "ioi", "patch": "z"}""",
        ["removeSweeps"] = """{"ids": ["ID"]}""",
    };

    /// <summary>The page.</summary>
    /// <param name="frame">The HTML around it.</param>
    public static string Html(string frame)
    {
        using Stream stream = OpenApiDocumentFile.OpenRead();
        JsonNode document = JsonNode.Parse(stream)!;
        var html = new StringBuilder();
        html.Append($"<p class=\"lead\">{Text(document["info"]!["description"])} Version {Text(document["info"]!["version"])}.</p>");
        Index(html, document);
        foreach (var (path, method, operation) in Operations(document))
        {
            Operation(html, path, method, operation);
        }

        html.Append("<h2 id=\"types\">Types</h2>");
        foreach (var (name, schema) in document["components"]!["schemas"]!.AsObject())
        {
            Schema(html, name, schema!.AsObject());
        }

        return frame.Replace(Place, html.ToString(), StringComparison.Ordinal);
    }

    private static IEnumerable<(string Path, string Method, JsonObject Operation)> Operations(JsonNode document) =>
        from path in document["paths"]!.AsObject()
        from method in Methods
        where path.Value![method] is not null
        select (path.Key, method, path.Value![method]!.AsObject());

    private static void Index(StringBuilder html, JsonNode document)
    {
        html.Append("<nav class=\"card\" aria-label=\"Calls\"><ul class=\"calls\">");
        foreach (var (path, method, operation) in Operations(document))
        {
            html.Append($"<li><a href=\"#{Text(operation["operationId"])}\"><span class=\"method\">{method.ToUpperInvariant()}</span> <code>{Encoded(path)}</code></a> <span class=\"hint\">{Text(operation["summary"])}</span></li>");
        }

        html.Append("</ul><p><a href=\"#types\">Types</a> · <a href=\"api/openapi.json\">openapi.json</a></p></nav>");
    }

    private static void Operation(StringBuilder html, string path, string method, JsonObject operation)
    {
        string id = (string)operation["operationId"]!;
        html.Append($"<section class=\"card\" id=\"{Encoded(id)}\"><h2><span class=\"method\">{method.ToUpperInvariant()}</span> <code>{Encoded(path)}</code></h2>");
        html.Append($"<p><b>{Text(operation["summary"])}.</b> {Text(operation["description"])}</p>");
        if (operation["parameters"] is JsonArray { Count: > 0 } parameters)
        {
            html.Append("<h3>Parameters</h3>");
            Table(html, ["name", "in", "type", ""], parameters.Select(parameter => new[]
            {
                Code(parameter!["name"]) + (parameter["required"] is null ? "" : " <b>needed</b>"), Text(parameter["in"]), TypeOf(parameter["schema"]!), Text(parameter["description"]),
            }));
        }

        if (operation["requestBody"]?["content"]?["application/json"]?["schema"] is JsonNode body)
        {
            html.Append($"<h3>Body</h3><p>{TypeOf(body)}, as <code>application/json</code></p>");
        }

        html.Append("<h3>Answers</h3>");
        Table(html, ["status", "type", ""], operation["responses"]!.AsObject().Select(response => new[]
        {
            Code(response.Key), AnswerType(response.Value!), Text(response.Value!["description"]),
        }));
        html.Append($"<h3>Example</h3><pre><code>{Encoded(Curl(path, method, id))}</code></pre><pre><code>{Encoded(Python(path, method, id, operation))}</code></pre></section>");
    }

    private static void Schema(StringBuilder html, string name, JsonObject schema)
    {
        html.Append($"<section class=\"card\" id=\"type-{Encoded(name)}\"><h3><code>{Encoded(name)}</code></h3><p>{Text(schema["description"])}</p>");
        if (schema["properties"] is JsonObject properties)
        {
            string[] needed = [.. (schema["required"] as JsonArray ?? []).Select(one => (string)one!)];
            Table(html, ["member", "type", ""], properties.Select(property => new[]
            {
                Code(property.Key) + (needed.Contains(property.Key) ? " <b>always</b>" : ""), TypeOf(property.Value!), DescriptionOf(property.Value!),
            }));
        }
        else
        {
            html.Append($"<p>{TypeOf(schema)}</p>");
        }

        html.Append("</section>");
    }

    private static string AnswerType(JsonNode response) => response["content"] is JsonObject content
        ? string.Join(", ", content.Select(form => form.Value?["schema"] is JsonNode schema && form.Key.EndsWith("json", StringComparison.Ordinal)
            ? $"{TypeOf(schema)} <span class=\"hint\">{Encoded(form.Key)}</span>" : Code(form.Key)))
        : "nothing";

    /// <summary>A type in a few words, with a link to where it is described.</summary>
    private static string TypeOf(JsonNode schema)
    {
        if ((string?)schema["$ref"] is string reference)
        {
            string name = Encoded(reference[(reference.LastIndexOf('/') + 1)..]);
            return $"<a href=\"#type-{name}\">{name}</a>";
        }

        if (schema["oneOf"] is JsonArray forms)
        {
            return string.Join(" or ", forms.Where(form => (form!["type"] as JsonValue)?.ToString() != "null").Select(form => TypeOf(form!)));
        }

        if (schema["enum"] is JsonArray values)
        {
            return string.Join(", ", values.Where(value => value is not null).Select(value => Code(value)));
        }

        string[] types = schema["type"] is JsonArray several ? [.. several.Select(type => (string)type!)] : [(string?)schema["type"] ?? "anything"];
        string[] limits =
        [
            .. from limit in ((string Name, string Said)[])
                    [("minimum", "from {0}"), ("maximum", "to {0}"), ("minLength", "from {0} characters"), ("maxLength", "to {0} characters"), ("default", "default {0}")]
                where schema[limit.Name] is not null
                select limit.Said.Replace("{0}", Text(schema[limit.Name]), StringComparison.Ordinal),
        ];
        return string.Join(" or ", types.Where(type => type != "null").Select(type => type switch
        {
            "array" => $"array of {(schema["items"] is JsonNode items ? TypeOf(items) : "anything")}",
            "object" when schema["additionalProperties"] is JsonObject of => $"object of {TypeOf(of)}",
            _ => Encoded(type),
        })) + (limits.Length > 0 ? $" <span class=\"hint\">{string.Join(", ", limits)}</span>" : "");
    }

    /// <summary>A member's description; of one that may be null it stands within its forms.</summary>
    private static string DescriptionOf(JsonNode schema) => Text(
        schema["description"] ?? (schema["oneOf"] as JsonArray)?.Select(form => form!["description"]).FirstOrDefault(description => description is not null));

    private static string Curl(string path, string method, string id)
    {
        string verb = method == "get" ? "" : $" -X {method.ToUpperInvariant()}";
        string body = Bodies.TryGetValue(id, out string? example) ? $" \\\n  -H 'Content-Type: application/json' -d '{example}'" : "";
        return $"curl{(id == "getEvents" ? " -N" : "")}{verb} \"$HEADPATCHING_URL{path.Replace("{id}", "ID", StringComparison.Ordinal)}\"{body}";
    }

    private static string Python(string path, string method, string id, JsonObject operation)
    {
        string address = $"os.environ[\"HEADPATCHING_URL\"] + \"{path.Replace("{id}", "ID", StringComparison.Ordinal)}\"";
        string request = Bodies.TryGetValue(id, out string? body)
            ? $"request = urllib.request.Request({address}, method=\"POST\",\n    headers={{\"Content-Type\": \"application/json\"}}, data=json.dumps({body}).encode())"
            : method == "get" ? $"request = {address}"
            : $"request = urllib.request.Request({address}, method=\"{method.ToUpperInvariant()}\")";
        bool isJson = operation["responses"]!.AsObject().Any(response => response.Key[0] == '2' && response.Value!["content"]?["application/json"] is not null);
        return $"{request}\nwith urllib.request.urlopen(request) as answer:\n    {(id == "getEvents" ? "for line in answer:\n        print(line.decode(), end=\"\")" : isJson ? "print(json.load(answer))" : "content = answer.read()")}";
    }

    private static void Table(StringBuilder html, string[] headings, IEnumerable<string[]> rows)
    {
        html.Append($"<div class=\"table\"><table><thead><tr>{string.Concat(headings.Select(heading => $"<th scope=\"col\">{heading}</th>"))}</tr></thead><tbody>");
        foreach (string[] row in rows)
        {
            html.Append($"<tr>{string.Concat(row.Select(cell => $"<td>{cell}</td>"))}</tr>");
        }

        html.Append("</tbody></table></div>");
    }

    private static string Code(JsonNode? node) => $"<code>{Text(node)}</code>";

    private static string Text(JsonNode? node) => Encoded(node?.ToString() ?? "");

    private static string Encoded(string text) => WebUtility.HtmlEncode(text);
}
