using System.Collections.Immutable;
using Shared.Pooling.Postgres.Authentication;

namespace TunnelIngress.State;

/// <summary>A named pairing, served by one or more connector replicas, that owns services.</summary>
internal sealed record Tunnel(string Name, DateTimeOffset CreatedAt);

/// <summary>One private target with a hostname; where it is, only the connector knows.</summary>
internal sealed record Service(string Name, string Hostname, string Tunnel, DateTimeOffset CreatedAt)
{
    /// <summary>How the ingress speaks HTTP with the target; null when its hostname carries plain bytes.</summary>
    public WebOrigin? Web { get; init; }

    /// <summary>What the administration calls what it speaks.</summary>
    public string Protocol => Web switch { null => "tcp", { Tls: true } => "https", _ => "http" };

    /// <summary>Who may use it, as the administration calls it.</summary>
    public string Access => Web is { Access: WebAccess.Public } ? "public" : "service-token";
}

/// <summary>A service's target as a web server. Immutable.</summary>
/// <param name="Tls">HTTP over TLS, from the ingress to the target.</param>
/// <param name="Access">Who may send requests.</param>
/// <param name="HostHeader">What the target gets as Host; null for the service's hostname.</param>
/// <param name="Verify">Whether the target's certificate must verify.</param>
/// <param name="Ca">The roots that it must chain to, in PEM; null for the system's.</param>
/// <param name="ServerName">The name that it must carry, also sent as SNI; null for the one in the Host header.</param>
/// <param name="IdleTimeout">How long neither side of a request may send anything.</param>
internal sealed record WebOrigin(bool Tls, WebAccess Access, string? HostHeader, bool Verify, string? Ca, string? ServerName, TimeSpan IdleTimeout)
{
    /// <summary>Plain HTTP with a service token.</summary>
    public static WebOrigin Default { get; } = new(false, WebAccess.ServiceToken, null, true, null, null, TimeSpan.FromMinutes(15));
}

/// <summary>Who may send requests to an HTTP service.</summary>
internal enum WebAccess
{
    /// <summary>Whoever has a service token for it.</summary>
    ServiceToken,

    /// <summary>Everybody.</summary>
    Public,
}

/// <summary>A service token as the ingress knows it: never the secret, only hashes. Immutable.</summary>
internal sealed record Token(
    string ClientId,
    string Name,
    TokenScope Scope,
    DateTimeOffset CreatedAt,
    DateTimeOffset? ExpiresAt,
    DateTimeOffset? RevokedAt,
    ImmutableArray<TokenSecret> Secrets)
{
    /// <summary>False once it is revoked or has expired: nothing new is accepted and what runs is cut.</summary>
    public bool IsUsableAt(DateTimeOffset now) => RevokedAt is null && (ExpiresAt is not { } expiry || now < expiry);
}

/// <summary>What a token is good for: either to connect one tunnel, or to access named services. Deny is the default.</summary>
/// <param name="ConnectTunnel">The tunnel it connects, or null.</param>
/// <param name="Services">The services it accesses.</param>
internal sealed record TokenScope(string? ConnectTunnel, ImmutableSortedSet<string> Services)
{
    /// <summary>Good for nothing.</summary>
    public static TokenScope Nothing { get; } = new(null, []);

    public bool MayConnect(string tunnel) => ConnectTunnel == tunnel;

    public bool MayAccess(string service) => Services.Contains(service);

    /// <inheritdoc/>
    public override string ToString() => ConnectTunnel is not null ? $"connect {ConnectTunnel}"
        : Services.IsEmpty ? "access nothing"
        : $"access {string.Join(", ", Services)}";
}

/// <summary>One of a token's secrets, as its SHA-256 hash.</summary>
/// <param name="Version">1 for the first; each rotation adds one.</param>
/// <param name="Hash">32 bytes.</param>
/// <param name="ValidUntil">When a rotated secret stops working; null for the newest.</param>
internal sealed record TokenSecret(int Version, ImmutableArray<byte> Hash, DateTimeOffset? ValidUntil)
{
    /// <summary>Checks the secret as a PostgreSQL password; all of a token's have one salt. Null for a secret that is none.</summary>
    public ScramVerifier? Scram { get; init; }

    /// <summary>The most secrets of one token that may be valid at once: it bounds the work of one authentication.</summary>
    public const int MaxValid = 5;

    public bool IsValidAt(DateTimeOffset now) => ValidUntil is not { } until || now < until;
}

/// <summary>When and from where a token's secret was last used.</summary>
/// <param name="ClientId">The token.</param>
/// <param name="Version">The secret's <see cref="TokenSecret.Version"/>.</param>
/// <param name="At">When.</param>
/// <param name="From">The address, without a port; <c>unix</c> for a Unix socket.</param>
internal sealed record TokenUse(string ClientId, int Version, DateTimeOffset At, string From);

/// <summary>How the ingress pools a service's PostgreSQL.</summary>
/// <param name="Service">The service's name.</param>
/// <param name="Settings">The keys and values of its options.</param>
/// <param name="Secret">What it proves to the database, encrypted; empty without.</param>
/// <param name="UpdatedAt">When it was last changed.</param>
internal sealed record ServicePool(string Service, ImmutableSortedDictionary<string, string> Settings, ImmutableArray<byte> Secret, DateTimeOffset UpdatedAt);
