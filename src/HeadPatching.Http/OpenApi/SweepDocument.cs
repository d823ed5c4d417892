using System.Globalization;
using System.Text.Json.Nodes;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results.Comparing;
using HeadPatching.Core.Results.OverPairs;
using HeadPatching.Http.Comparing;
using HeadPatching.Http.Following;
using HeadPatching.Http.Requests;
using HeadPatching.Http.Series;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Requests;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace HeadPatching.Http.OpenApi;

/// <summary>What the generator of the OpenAPI document cannot see for itself.</summary>
internal static class SweepDocument
{
    /// <summary>The tag of every operation.</summary>
    public const string Tag = "sweeps";

    private const string KeyInHeader = "functionKey", KeyInQuery = "functionKeyInQuery";

    /// <summary>The routes that take no key anywhere.</summary>
    private static readonly string[] Open = ["getHealth", "getLiveness"];

    /// <summary>Sets the generator up.</summary>
    public static void Configure(OpenApiOptions options)
    {
        options.ShouldInclude = route => !HttpMethods.IsHead(route.HttpMethod ?? ""); // as GET, less the body
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info = new OpenApiInfo
            {
                Title = "HeadPatching",
                Version = AssembleSweep.Version,
                Description = "Head-level activation patching as durable sweeps. Errors are application/problem+json with a stable type. HEAD is answered wherever GET is.",
                License = new OpenApiLicense { Name = "MIT", Identifier = "MIT" },
            };
            document.Servers =
            [
                new OpenApiServer { Url = "/", Description = "The host that this document was asked of." },
                new OpenApiServer
                {
                    Url = "https://{app}.azurewebsites.net",
                    Description = "The Functions app.",
                    Variables = new Dictionary<string, OpenApiServerVariable> { ["app"] = new() { Default = "headpatching", Description = "The app's name." } },
                },
            ];
            document.Tags = new HashSet<OpenApiTag> { new() { Name = Tag, Description = "Sweeps, what they found, and what there is to sweep." } };
            document.Components ??= new OpenApiComponents();
            DescribeSeriesRequest(document);
            document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
            {
                [KeyInHeader] = Key(ParameterLocation.Header, "x-functions-key", "A key of the Functions app."),
                [KeyInQuery] = Key(ParameterLocation.Query, "code", "The same, where a header cannot be sent."),
            };

            // Without any: headpatch serve has no login.
            document.Security =
            [
                new OpenApiSecurityRequirement(),
                new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(KeyInHeader, document)] = [] },
                new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(KeyInQuery, document)] = [] },
            ];
            return Task.CompletedTask;
        });
        options.AddOperationTransformer((operation, context, _) =>
        {
            if (Open.Contains(operation.OperationId))
            {
                operation.Security = [];
                operation.Responses?.Remove($"{StatusCodes.Status401Unauthorized}");
            }

            foreach (var answer in context.Description.ActionDescriptor.EndpointMetadata.OfType<ProducesResponseTypeMetadata>())
            {
                if (operation.Responses?.GetValueOrDefault($"{answer.StatusCode}") is OpenApiResponse response)
                {
                    response.Description = answer.Description;
                }
            }

            return Task.CompletedTask;
        });
        options.AddSchemaTransformer((schema, context, _) =>
        {
            Describe(schema, Nullable.GetUnderlyingType(context.JsonTypeInfo.Type) ?? context.JsonTypeInfo.Type);
            if (context.JsonPropertyInfo is { } property && property.DeclaringType == typeof(SweepRequest))
            {
                Describe(schema, SweepOptions.Find(property.Name)!);
            }

            return Task.CompletedTask;
        });
    }

    /// <summary>The header Idempotency-Key, which the handler reads itself.</summary>
    public static Task DescribeIdempotencyKey(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        operation.Parameters ??= [];
        operation.Parameters.Add(new OpenApiParameter
        {
            Name = IdempotencyKey.Header,
            In = ParameterLocation.Header,
            Description = "Any text of the caller's choice; the same key is the same sweep.",
            Schema = new OpenApiSchema { Type = JsonSchemaType.String, MinLength = 1, MaxLength = new RequestLimits().ShortTextCharacters },
        });
        return Task.CompletedTask;
    }

    /// <summary>The query of the list, which the handler reads itself.</summary>
    public static Task DescribeListQuery(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        operation.Parameters ??= [];
        operation.Parameters.Add(InQuery(ListQuery.LimitName, "The most sweeps of a page.", Limit(ListQuery.MostLimit, ListQuery.DefaultLimit)));
        operation.Parameters.Add(InQuery(ListQuery.TokenName, "Where the page before ended: its member continuationToken."));
        operation.Parameters.Add(InQuery(ListQuery.AfterName, "An earlier name of continuationToken."));
        operation.Parameters.Add(InQuery(ListQuery.StatusName, "Only sweeps that stand there; several with commas between them, or by several of these.", new OpenApiSchema
        {
            Type = JsonSchemaType.Array,
            Items = new OpenApiSchema { Type = JsonSchemaType.String, Enum = [.. ListQuery.States.Select(state => (JsonNode)state)] },
        }));
        operation.Parameters.Add(InQuery(ListQuery.ModelName, "Only sweeps of this model."));
        operation.Parameters.Add(InQuery(ListQuery.SearchName, "Only sweeps in whose id, name, model, dataset and title every one of these words stands."));
        return Task.CompletedTask;
    }

    /// <summary>The query of the list of series, which the handler reads itself.</summary>
    public static Task DescribeSeriesQuery(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        operation.Parameters ??= [];
        operation.Parameters.Add(InQuery(ListQuery.LimitName, "The most series of a page.", Limit(SeriesQuery.MostLimit, SeriesQuery.DefaultLimit)));
        operation.Parameters.Add(InQuery(ListQuery.TokenName, "Where the page before ended: its member continuationToken."));
        return Task.CompletedTask;
    }

    /// <summary>The query of a sweep's status.</summary>
    public static Task DescribeWait(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        operation.Parameters ??= [];
        operation.Parameters.Add(InQuery(WaitQuery.Name, "How many seconds to wait for a change at the most.", new OpenApiSchema
        {
            Type = JsonSchemaType.Integer,
            Format = "int32",
            Minimum = "0",
            Maximum = WaitQuery.MostSeconds.ToString(CultureInfo.InvariantCulture),
            Default = 0,
        }));
        operation.Parameters.Add(new OpenApiParameter { Name = "If-None-Match", In = ParameterLocation.Header, Description = "The ETag of the answer that the caller has.", Schema = Text() });
        return Task.CompletedTask;
    }

    /// <summary>The header by which a stream goes on.</summary>
    public static Task DescribeLastEventId(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        operation.Parameters ??= [];
        operation.Parameters.Add(new OpenApiParameter { Name = SweepFollower.LastEventHeader, In = ParameterLocation.Header, Description = "The id of the last event that the caller has had.", Schema = Text() });
        return Task.CompletedTask;
    }

    /// <summary>The query of a comparison, which the handler reads itself.</summary>
    public static Task DescribeCompareQuery(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        operation.Parameters ??= [];
        operation.Parameters.Add(Parameter(CompareQuery.AName, "The sweep that is compared with.", Text(), required: true));
        operation.Parameters.Add(Parameter(CompareQuery.BName, "The sweep that is compared.", Text(), required: true));
        operation.Parameters.Add(Parameter(CompareQuery.DrawsName, "How often pairs are drawn again, for what all heads are together.", new OpenApiSchema
        {
            Type = JsonSchemaType.Integer,
            Format = "int32",
            Minimum = SweepComparer.LeastDraws.ToString(CultureInfo.InvariantCulture),
            Maximum = SweepComparer.MostDraws.ToString(CultureInfo.InvariantCulture),
            Default = SweepComparer.DefaultDraws,
        }));
        operation.Parameters.Add(Parameter(CompareQuery.SeedName, "Of the draws.", new OpenApiSchema { Type = JsonSchemaType.Integer, Format = "int32", Default = 0 }));
        return Task.CompletedTask;

        static OpenApiParameter Parameter(string name, string description, OpenApiSchema schema, bool required = false) =>
            new() { Name = name, In = ParameterLocation.Query, Description = description, Schema = schema, Required = required };
    }

    /// <summary>The query of patterns, which the handler reads itself.</summary>
    public static Task DescribePatternQuery(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        operation.Parameters ??= [];
        operation.Parameters.Add(new OpenApiParameter
        {
            Name = PatternQuery.HeadName,
            In = ParameterLocation.Query,
            Required = true,
            Description = "The head, such as L9H6.",
            Schema = new OpenApiSchema { Type = JsonSchemaType.String, Pattern = "^L[0-9]{1,6}H[0-9]{1,6}$" },
        });
        operation.Parameters.Add(new OpenApiParameter
        {
            Name = PatternQuery.PairName,
            In = ParameterLocation.Query,
            Required = true,
            Description = "The pair's index in the dataset.",
            Schema = new OpenApiSchema { Type = JsonSchemaType.Integer, Format = "int32", Minimum = "0" },
        });
        return Task.CompletedTask;
    }

    /// <summary>The request of a series: that of a sweep, less its model and what asks for a plan.</summary>
    private static void DescribeSeriesRequest(OpenApiDocument document)
    {
        if (Properties(nameof(SeriesRequest)) is not { } series || Properties(nameof(SweepRequest)) is not { } sweep)
        {
            return;
        }

        if (series.TryGetValue("models", out IOpenApiSchema? named) && named is OpenApiSchema models)
        {
            (models.MinItems, models.MaxItems, models.UniqueItems) = (2, new RequestLimits().SeriesModels, true);
        }

        foreach (var (name, schema) in sweep.Where(property => property.Key is not ("model" or SweepRequestReader.PlanOnly)))
        {
            series[name] = schema;
        }

        IDictionary<string, IOpenApiSchema>? Properties(string type) => document.Components?.Schemas?.TryGetValue(type, out IOpenApiSchema? schema) == true ? schema.Properties : null;
    }

    /// <summary>Types with a JSON form of their own.</summary>
    private static void Describe(OpenApiSchema schema, Type type)
    {
        if (type == typeof(SweepRequest) || type == typeof(SeriesRequest) || type == typeof(PromptPair))
        {
            schema.AdditionalPropertiesAllowed = false;
            if (type == typeof(SweepRequest) && schema.Properties is { Count: > 0 } properties)
            {
                properties[SweepRequestReader.PlanOnly] = new OpenApiSchema { Type = JsonSchemaType.Boolean, Description = "Say how the sweep would be cut, and make none." };
            }
        }
        else if (type == typeof(Prompt))
        {
            OneOf(schema, Text(), new OpenApiSchema { Type = JsonSchemaType.Array, Items = WholeNumber() });
        }
        else if (type == typeof(Answer))
        {
            OneOf(schema, Text(), WholeNumber());
        }
        else if (type == typeof(Receiver))
        {
            schema.Type = JsonSchemaType.String;
            schema.Pattern = Receiver.Pattern;
        }
        else if (type == typeof(AnswerSet))
        {
            var one = new OpenApiSchema();
            OneOf(one, Text(), WholeNumber());
            OneOf(schema, Text(), WholeNumber(), new OpenApiSchema { Type = JsonSchemaType.Array, Items = one });
        }
        else if (type == typeof(ConfidenceInterval) && schema.Type is null) // the generator asks again for the items
        {
            schema.Type = JsonSchemaType.Array;
            schema.Items = new OpenApiSchema { Type = JsonSchemaType.Number, Format = "double" };
            (schema.MinItems, schema.MaxItems) = (2, 2);
        }
        else if (type == typeof(Positions))
        {
            OneOf(schema, new OpenApiSchema { Type = JsonSchemaType.String, Pattern = Roles.NamePattern, Description = "all, each, each-role, or a role that the pairs name." }, WholeNumber());
        }
        else if (type == typeof(ReferencePrompts))
        {
            OneOf(schema, Text(), new OpenApiSchema { Type = JsonSchemaType.Array, Items = new OpenApiSchema { Type = JsonSchemaType.Object, Description = "A pair, as in pairs." } });
        }
    }

    /// <summary>What the table of options says of one.</summary>
    private static void Describe(OpenApiSchema schema, SweepOption option)
    {
        if (option.Type is OptionType.PatchPositions || option.Get(new SweepRequest()) is Enum || schema.Enum is { Count: > 0 })
        {
            return; // a schema of its own, which results refer to as well
        }

        schema.Description = option.Help + (option.Default() is string known ? $". Default: {known}." : ".");
        switch (option.Type)
        {
            case OptionType.Whole { Least: var least, Most: var most }:
                schema.Minimum = least == int.MinValue ? null : $"{least}";
                schema.Maximum = most == int.MaxValue ? null : $"{most}";
                break;
            case OptionType.Number number:
                schema.Minimum = number.Least.ToString(CultureInfo.InvariantCulture);
                break;
            case OptionType.Words words:
                schema.Enum = [.. words.Known.Select(word => (JsonNode)word.Name)];
                break;
        }
    }

    private static void OneOf(OpenApiSchema schema, params IOpenApiSchema[] forms)
    {
        schema.Type = null;
        schema.OneOf = [.. forms];
    }

    private static OpenApiSecurityScheme Key(ParameterLocation place, string name, string description) =>
        new() { Type = SecuritySchemeType.ApiKey, In = place, Name = name, Description = description };

    private static OpenApiParameter InQuery(string name, string description, OpenApiSchema? schema = null) =>
        new() { Name = name, In = ParameterLocation.Query, Description = description, Schema = schema ?? Text() };

    private static OpenApiSchema Limit(int most, int fallback) => new()
    {
        Type = JsonSchemaType.Integer,
        Format = "int32",
        Minimum = "1",
        Maximum = most.ToString(CultureInfo.InvariantCulture),
        Default = fallback,
    };

    private static OpenApiSchema Text() => new() { Type = JsonSchemaType.String };

    private static OpenApiSchema WholeNumber() => new() { Type = JsonSchemaType.Integer, Format = "int32" };
}
