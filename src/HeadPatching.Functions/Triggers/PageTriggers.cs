using HeadPatching.Http;
using HeadPatching.Http.Pages;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace HeadPatching.Functions.Triggers;

/// <summary>The page for browsers. It needs no key, and shows nothing without one: what it asks of the API does.</summary>
public static class PageTriggers
{
    /// <summary>GET and HEAD /: the host answers with a page of its own what no function takes.</summary>
    /// <remarks>The host reads an empty route as none, and would take the function's name: so it is a part that must be empty.</remarks>
    [Function("GetPage")]
    public static IResult Page([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "{ignored:maxlength(0)?}")] HttpRequest request) =>
        Answer(request, "/");

    /// <summary>GET /docs: the description of the API.</summary>
    [Function("GetDocs")]
    public static IResult Docs([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "docs")] HttpRequest request) =>
        Answer(request, "/docs");

    /// <summary>GET /pages/{file}: what the pages are made of.</summary>
    [Function("GetPageFile")]
    public static IResult File([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "pages/{file}")] HttpRequest request, string file) =>
        Answer(request, $"/pages/{file}");

    private static IResult Answer(HttpRequest request, string path) =>
        PageFile.All.FirstOrDefault(file => file.Path == path) is PageFile known ? known.Answer(request.HttpContext) : SweepHandlers.NoRoute(request, []);
}
