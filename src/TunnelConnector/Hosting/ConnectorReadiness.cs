using System.Globalization;
using Shared.Management;
using TunnelConnector.Ingress;

namespace TunnelConnector.Hosting;

/// <summary>When the connector is ready: registered at one ingress at least, and not draining.</summary>
internal static class ConnectorReadiness
{
    /// <summary>How it is now; one line for all, and one for each ingress.</summary>
    public static Readiness Of(IReadOnlyList<IngressLink> links, bool isDraining) =>
        Of([.. links.Select(static link => (link.Address, link.Status))], links.Sum(static link => link.Streams), isDraining);

    /// <summary>The same of what was asked before.</summary>
    public static Readiness Of(IReadOnlyList<(string Ingress, LinkStatus Status)> links, int streams, bool isDraining)
    {
        var registered = links.Count(static link => link.Status.IsRegistered);
        var isReady = registered > 0 && !isDraining;
        var state = isDraining ? "draining" : isReady ? "ready" : "not ready";
        var all = string.Create(CultureInfo.InvariantCulture, $"{state}: registered at {registered} of {links.Count} ingresses, {streams} streams");
        return new Readiness(isReady, string.Join('\n', links.Select(static link => $"{link.Ingress} {link.Status.Text}").Prepend(all)));
    }
}
