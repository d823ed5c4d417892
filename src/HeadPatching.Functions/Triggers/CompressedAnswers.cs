using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.ResponseCompression;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Azure.Functions.Worker.Middleware;

namespace HeadPatching.Functions.Triggers;

/// <summary>
/// Answers go out compressed as those of the embedded host do. The worker lets a function's answer run when every middleware has been passed, so the
/// answer that is put in its place compresses what it writes.
/// </summary>
public sealed class CompressedAnswers : IFunctionsWorkerMiddleware
{
    private readonly IResponseCompressionProvider _provider;

    /// <summary>Makes the middleware.</summary>
    public CompressedAnswers(IResponseCompressionProvider provider)
    {
        _provider = provider;
    }

    /// <inheritdoc/>
    public async Task Invoke(FunctionContext context, FunctionExecutionDelegate next)
    {
        await next(context);
        InvocationResult result = context.GetInvocationResult();
        if (result.Value is IResult answer)
        {
            result.Value = new Answer(answer, _provider);
        }
    }

    /// <summary>An answer that is compressed where its caller takes that and its type is worth it.</summary>
    /// <param name="answer">The answer.</param>
    /// <param name="provider">Knows which.</param>
    public sealed class Answer(IResult answer, IResponseCompressionProvider provider) : IResult
    {
        /// <inheritdoc/>
        public Task ExecuteAsync(HttpContext httpContext) => new ResponseCompressionMiddleware(answer.ExecuteAsync, provider).Invoke(httpContext);
    }
}
