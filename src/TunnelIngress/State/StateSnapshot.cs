using System.Collections.Frozen;
using System.Collections.Immutable;

namespace TunnelIngress.State;

/// <summary>Everything the ingress knows at one revision. Immutable: every member may be used from any thread.</summary>
internal sealed class StateSnapshot
{
    private readonly FrozenDictionary<string, Service>.AlternateLookup<ReadOnlySpan<char>> _byHostname;
    private readonly FrozenDictionary<string, ImmutableArray<Service>> _byTunnel;
    private readonly ImmutableArray<DateTimeOffset> _expiries;

    public StateSnapshot(long revision, IReadOnlyCollection<Tunnel> tunnels, IReadOnlyCollection<Service> services, IReadOnlyCollection<Token> tokens)
    {
        Revision = revision;
        Tunnels = tunnels.ToFrozenDictionary(tunnel => tunnel.Name, StringComparer.Ordinal);
        Services = services.ToFrozenDictionary(service => service.Name, StringComparer.Ordinal);
        Tokens = tokens.ToFrozenDictionary(token => token.ClientId, StringComparer.Ordinal);

        // Ignoring case here saves lower-casing (and allocating) a copy of every request's Host.
        _byHostname = services
            .ToFrozenDictionary(service => service.Hostname, StringComparer.OrdinalIgnoreCase)
            .GetAlternateLookup<ReadOnlySpan<char>>();
        _byTunnel = services
            .GroupBy(service => service.Tunnel, StringComparer.Ordinal)
            .ToFrozenDictionary(group => group.Key, group => group.ToImmutableArray(), StringComparer.Ordinal);
        _expiries = [.. tokens.Where(token => token.RevokedAt is null).Select(token => token.ExpiresAt).OfType<DateTimeOffset>().Order()];
    }

    public static StateSnapshot Empty { get; } = new(0, [], [], []);

    /// <summary>Differs whenever anything differs.</summary>
    public long Revision { get; }

    /// <summary>By name.</summary>
    public FrozenDictionary<string, Tunnel> Tunnels { get; }

    /// <summary>By name.</summary>
    public FrozenDictionary<string, Service> Services { get; }

    /// <summary>By client id; revoked and expired ones too, see <see cref="Token.IsUsableAt"/>.</summary>
    public FrozenDictionary<string, Token> Tokens { get; }

    /// <summary>The service a request is for. Takes a <c>Host</c> header or an SNI name as it came: any case, port and trailing dot allowed.</summary>
    public Service? FindServiceByHostname(ReadOnlySpan<char> host) =>
        _byHostname.TryGetValue(State.Hostname.FromHostHeader(host), out var service) ? service : null;

    /// <summary>The services of a tunnel; empty for an unknown tunnel.</summary>
    public ImmutableArray<Service> ServicesOf(string tunnel) => _byTunnel.TryGetValue(tunnel, out var services) ? services : [];

    /// <summary>When the next token will expire by itself, if any: the moment to look again for streams to cut.</summary>
    public DateTimeOffset? NextExpiryAfter(DateTimeOffset now)
    {
        var index = _expiries.BinarySearch(now);
        for (index = index < 0 ? ~index : index; index < _expiries.Length; index++)
        {
            if (_expiries[index] > now)
            {
                return _expiries[index];
            }
        }

        return null;
    }
}
