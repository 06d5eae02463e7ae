using Shared.Streams;
using Shared.Streams.Protocol;
using TunnelIngress.State;

namespace TunnelIngress.Connectors;

/// <summary>
/// Tells a connector which of its announced services get no streams, at registration and whenever the state or the announcement
/// changes the answer. Routing itself asks the state at each stream, so this is for people, not for safety.
/// </summary>
internal sealed class ServiceRejections(ConnectorSession session, StateWatcher state, ILogger logger)
{
    private readonly Signal _check = new();
    private IReadOnlyList<RejectedService> _told = [];

    /// <summary>Look again soon.</summary>
    public void Check() => _check.Set();

    /// <summary>Looks and tells until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        state.Changed += Check;
        Check();
        try
        {
            while (true)
            {
                await _check.WaitAsync(cancellationToken);
                await TellAsync(cancellationToken);
            }
        }
        finally
        {
            state.Changed -= Check;
        }
    }

    private async Task TellAsync(CancellationToken cancellationToken)
    {
        var rejected = session.Services
            .Order(StringComparer.Ordinal)
            .Select(name => (Name: name, Reason: ReasonAgainst(name)))
            .Where(static service => service.Reason is not null)
            .Select(static service => new RejectedService(service.Name, service.Reason!))
            .ToArray();
        if (rejected.SequenceEqual(_told))
        {
            return;
        }

        _told = rejected;
        foreach (var service in rejected)
        {
            logger.ServiceRejected(session.Connector, session.Tunnel, ProtocolCodec.OneLine(service.Service), service.Reason);
        }

        await session.Control.SendAsync(new ServicesRejected(rejected), cancellationToken);
    }

    // One answer for "does not exist" and "belongs to another tunnel": a connector learns nothing of other tunnels.
    private string? ReasonAgainst(string name) =>
        state.Current.Services.TryGetValue(name, out var service) && service.Tunnel == session.Tunnel
            ? null
            : $"Tunnel {session.Tunnel} has no service of this name; add it with 'tunnel-ingress service add'.";
}
