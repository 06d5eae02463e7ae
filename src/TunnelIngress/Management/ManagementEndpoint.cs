using Shared.Pooling.Hosting;
using TunnelIngress.Connectors;
using TunnelIngress.State;
using TunnelIngress.Streams;

namespace TunnelIngress.Management;

/// <summary>
/// The management address: <c>/healthz</c> (the process lives), <c>/readyz</c> (it takes new streams), <c>/metrics</c> (Prometheus),
/// <c>/connectors</c> (which are registered).
/// </summary>
internal sealed class ManagementEndpoint(StreamGate gate, StateWatcher state, ConnectorRegistry connectors, PrometheusExport metrics)
{
    /// <summary>Handles one request.</summary>
    public Task HandleAsync(HttpContext context) => context.Request.Path.Value switch
    {
        "/healthz" => WriteAsync(context, StatusCodes.Status200OK, "alive"),
        "/readyz" => ReadyAsync(context),
        "/metrics" => MetricsAsync(context),
        "/connectors" => context.Response.WriteAsJsonAsync(ConnectorRow.Of(connectors), ConnectorRow.Form, context.RequestAborted),
        _ => WriteAsync(context, StatusCodes.Status404NotFound, "There is /healthz, /readyz, /metrics and /connectors."),
    };

    // Not coupled to any connector or target: a load balancer must not take out every ingress because one database is down.
    private Task ReadyAsync(HttpContext context) => gate.IsDraining
        ? WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "draining")
        : WriteAsync(
            context, StatusCodes.Status200OK,
            $"ready: {connectors.All.Count(static session => session.IsActive)} connectors online, {state.Current.Services.Count} services");

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
