using System.Collections.Frozen;

namespace TunnelIngress.State;

/// <summary>The whole state at one revision. Immutable, with look-ups that allocate nothing.</summary>
internal sealed class StateSnapshot
{
    private readonly FrozenDictionary<string, Service> _byHostname;

    public StateSnapshot(long revision, IEnumerable<Tunnel> tunnels, IEnumerable<Service> services, IEnumerable<Token> tokens, IEnumerable<ServicePool>? pools = null)
    {
        Revision = revision;
        Tunnels = tunnels.ToFrozenDictionary(static tunnel => tunnel.Name, StringComparer.Ordinal);
        Services = services.ToFrozenDictionary(static service => service.Name, StringComparer.Ordinal);
        Tokens = tokens.ToFrozenDictionary(static token => token.ClientId, StringComparer.Ordinal);
        Pools = (pools ?? []).ToFrozenDictionary(static pool => pool.Service, StringComparer.Ordinal);
        _byHostname = Services.Values.ToFrozenDictionary(static service => service.Hostname, StringComparer.OrdinalIgnoreCase);
    }

    public static StateSnapshot Empty { get; } = new(-1, [], [], []);

    /// <summary>Grows by one with each change.</summary>
    public long Revision { get; }

    public FrozenDictionary<string, Tunnel> Tunnels { get; }

    public FrozenDictionary<string, Service> Services { get; }

    public FrozenDictionary<string, Token> Tokens { get; }

    /// <summary>By the service's name.</summary>
    public FrozenDictionary<string, ServicePool> Pools { get; }

    /// <summary>The service of a hostname as a request names it: any case, perhaps with a trailing dot, without a port.</summary>
    public Service? FindByHostname(string hostname) =>
        _byHostname.GetValueOrDefault(hostname.EndsWith('.') ? hostname[..^1] : hostname);
}
