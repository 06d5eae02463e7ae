using System.Collections.Concurrent;
using System.Collections.Immutable;
using TunnelIngress.Configuration;

namespace TunnelIngress.Connectors;

/// <summary>The connector sessions of this ingress, by tunnel and by id. All members may be called concurrently.</summary>
internal sealed class ConnectorRegistry(LimitOptions limits)
{
    private readonly Lock _changing = new();
    private readonly ConcurrentDictionary<string, ConnectorSession> _byId = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ImmutableArray<ConnectorSession>> _byTunnel = new(StringComparer.Ordinal);

    /// <summary>Raised when a connector takes no new streams and waits for those it carries; handlers must not block.</summary>
    public event Action<ConnectorSession>? Draining;

    /// <summary>All of them, those that drain included.</summary>
    public int Count => _byId.Count;

    public IEnumerable<ConnectorSession> All => _byId.Values;

    /// <summary>Adds a session, unless there are too many in all or of its tunnel: one tunnel's connectors must leave room for those of the others.</summary>
    /// <returns>Null when it was added, otherwise what stands against it.</returns>
    public string? Add(ConnectorSession session)
    {
        lock (_changing)
        {
            if (_byId.Count >= limits.MaxConnectors)
            {
                return $"The ingress has its limit of {limits.MaxConnectors} connectors (Limits:MaxConnectors).";
            }

            var sessions = _byTunnel.GetValueOrDefault(session.Tunnel, []);
            if (sessions.Count(static other => other.IsActive) >= limits.MaxConnectorsPerTunnel)
            {
                return $"Tunnel {session.Tunnel} has its limit of {limits.MaxConnectorsPerTunnel} connectors. Stop some of them, or raise the ingress's Limits:MaxConnectorsPerTunnel.";
            }

            _byId[session.Id] = session;
            _byTunnel[session.Tunnel] = sessions.Add(session);
            return null;
        }
    }

    public void Remove(ConnectorSession session)
    {
        lock (_changing)
        {
            _byId.TryRemove(session.Id, out _);
            _byTunnel[session.Tunnel] = _byTunnel.GetValueOrDefault(session.Tunnel, []).Remove(session);
        }
    }

    /// <summary>The connector will end: it leaves the rotation, and whoever keeps streams open for later is told.</summary>
    public void Drain(ConnectorSession session)
    {
        session.Drain();
        Draining?.Invoke(session);
    }

    /// <summary>How many of a tunnel take new streams now.</summary>
    public int CountOnline(string tunnel) =>
        _byTunnel.TryGetValue(tunnel, out var sessions) ? sessions.Count(static session => session.IsActive) : 0;

    public ConnectorSession? ById(string id) => _byId.GetValueOrDefault(id);

    /// <summary>
    /// The replica in rotation that serves the service and carries the fewest streams; among equals one by chance, so that a burst
    /// does not fall on the first. Null when there is none.
    /// </summary>
    public ConnectorSession? Pick(string tunnel, string service, IReadOnlySet<ConnectorSession> except)
    {
        if (!_byTunnel.TryGetValue(tunnel, out var sessions))
        {
            return null;
        }

        ConnectorSession? best = null;
        var (bestLoad, equals) = (int.MaxValue, 0);
        foreach (var session in sessions)
        {
            if (!session.IsActive || !session.Services.Contains(service) || except.Contains(session))
            {
                continue;
            }

            var load = session.Load;
            equals = load < bestLoad ? 1 : load == bestLoad ? equals + 1 : equals;
            if (load < bestLoad || (load == bestLoad && Random.Shared.Next(equals) == 0))
            {
                (best, bestLoad) = (session, load);
            }
        }

        return best;
    }
}
