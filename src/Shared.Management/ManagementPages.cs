using Microsoft.AspNetCore.Http;
using Shared.Management.Prometheus;

namespace Shared.Management;

/// <summary>
/// What every management address answers: <c>/healthz</c> (the process lives), <c>/readyz</c> (it does what it is there for),
/// <c>/metrics</c> (Prometheus). Safe for concurrent use.
/// </summary>
/// <param name="readiness">Asked at each request, on several threads; must not block.</param>
/// <param name="metrics">What is told to Prometheus.</param>
/// <param name="further">What the program answers beside them, for whoever asks for something else.</param>
public sealed class ManagementPages(Func<Readiness> readiness, PrometheusExport metrics, params IReadOnlyList<string> further)
{
    /// <summary>Whether the process lives.</summary>
    internal const string Alive = "/healthz";

    /// <summary>Whether it does what it is there for.</summary>
    internal const string Ready = "/readyz";

    private readonly string _all = $"There is {string.Join(", ", [Alive, Ready, .. further])} and /metrics.";

    /// <summary>Answers one request.</summary>
    public Task HandleAsync(HttpContext context) => context.Request.Path.Value switch
    {
        Alive => WriteAsync(context, StatusCodes.Status200OK, "alive"),
        Ready => ReadyAsync(context),
        "/metrics" => MetricsAsync(context),
        _ => WriteAsync(context, StatusCodes.Status404NotFound, _all),
    };

    private Task ReadyAsync(HttpContext context)
    {
        var (isReady, text) = readiness();
        return WriteAsync(context, isReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable, text);
    }

    private Task MetricsAsync(HttpContext context)
    {
        context.Response.ContentType = PrometheusExport.ContentType;
        return metrics.WriteAsync(context.Response.Body, context.RequestAborted);
    }

    private static Task WriteAsync(HttpContext context, int status, string text)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync($"{text}\n", context.RequestAborted);
    }
}
