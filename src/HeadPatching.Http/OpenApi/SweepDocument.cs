using System.Globalization;
using System.Text.Json.Nodes;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results.OverPairs;
using HeadPatching.Http.Requests;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Requests;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace HeadPatching.Http.OpenApi;

/// <summary>What the generator of the OpenAPI document cannot see for itself.</summary>
internal static class SweepDocument
{
    /// <summary>Sets the generator up.</summary>
    public static void Configure(OpenApiOptions options)
    {
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info = new OpenApiInfo
            {
                Title = "HeadPatching",
                Version = AssembleSweep.Version,
                Description = "Head-level activation patching as durable sweeps. Errors are application/problem+json with a stable type.",
            };
            document.Servers = null; // whatever host it was asked of
            return Task.CompletedTask;
        });
        options.AddOperationTransformer((operation, context, _) =>
        {
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
        operation.Parameters.Add(new OpenApiParameter
        {
            Name = ListQuery.LimitName,
            In = ParameterLocation.Query,
            Description = "The most sweeps of a page.",
            Schema = new OpenApiSchema
            {
                Type = JsonSchemaType.Integer,
                Format = "int32",
                Minimum = "1",
                Maximum = ListQuery.MostLimit.ToString(CultureInfo.InvariantCulture),
                Default = ListQuery.DefaultLimit,
            },
        });
        operation.Parameters.Add(new OpenApiParameter
        {
            Name = ListQuery.AfterName,
            In = ParameterLocation.Query,
            Description = "Where the page before ended; it is in that page's link next.",
            Schema = Text(),
        });
        return Task.CompletedTask;
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

    /// <summary>Types with a JSON form of their own.</summary>
    private static void Describe(OpenApiSchema schema, Type type)
    {
        if (type == typeof(SweepRequest) || type == typeof(PromptPair))
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

    private static OpenApiSchema Text() => new() { Type = JsonSchemaType.String };

    private static OpenApiSchema WholeNumber() => new() { Type = JsonSchemaType.Integer, Format = "int32" };
}
