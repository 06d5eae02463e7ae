using Shared.Streams.Dialing;
using Shared.Streams.Sockets;

namespace TunnelIngress.Applications;

/// <summary>
/// The places of applications' connections, each of which counts for somebody: a service token, or the callers of a local listener. Safe for
/// concurrent use.
/// </summary>
internal sealed class ApplicationPlaces(AcceptBudget budget)
{
    /// <summary>The connection counts for the token that it has shown.</summary>
    /// <returns>Null, or why there is no place for it.</returns>
    public DialException? Take(AcceptPlace place, string clientId) => Explain(place.Recognize(clientId), "This token has");

    /// <summary>The connection came to a local listener, and counts for the callers of its service.</summary>
    /// <returns>Null, or why there is no place for it.</returns>
    public DialException? TakeLocal(AcceptPlace place, string service) =>
        Explain(place.Recognize($"local {service}"), $"The local listeners of service {service} have");

    private string Share => budget.PerHolder is { } share ? $"the limit of {share} connections open" : "as many connections open as are left for all others";

    private DialException? Explain(AcceptRefusal? refusal, string who) => refusal switch
    {
        null => null,
        AcceptRefusal.Holder => new DialException(
            Hop.Ingress, "limited",
            $"{who} {Share} (Limits:MaxConnectionsPerToken); close some, or look for what leaves them open."),
        _ => new DialException(Hop.Ingress, "crowded", "Too many connections are open; try again later."),
    };
}
