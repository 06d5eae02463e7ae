using Shared.Management;
using Shared.Management.Prometheus;
using TunnelIngress.Connectors;
using TunnelIngress.State;
using TunnelIngress.Streams;

namespace TunnelIngress.Management;

/// <summary>
/// The management address: what <see cref="ManagementPages"/> has, ready when it takes new streams, and <c>/connectors</c> (which are registered).
/// </summary>
internal sealed class ManagementEndpoint(StreamGate gate, StateWatcher state, ConnectorRegistry connectors, PrometheusExport metrics)
{
    private readonly ManagementPages _pages = new(() => ReadinessOf(gate, state, connectors), metrics, "/connectors");

    /// <summary>Handles one request.</summary>
    public Task HandleAsync(HttpContext context) => context.Request.Path.Value == "/connectors"
        ? context.Response.WriteAsJsonAsync(ConnectorRow.Of(connectors), ConnectorRow.Form, context.RequestAborted)
        : _pages.HandleAsync(context);

    // Not coupled to any connector or target: a load balancer must not take out every ingress because one database is down.
    private static Readiness ReadinessOf(StreamGate gate, StateWatcher state, ConnectorRegistry connectors) => gate.IsDraining
        ? new(false, "draining")
        : new(true, $"ready: {connectors.All.Count(static session => session.IsActive)} connectors online, {state.Current.Services.Count} services");
}
