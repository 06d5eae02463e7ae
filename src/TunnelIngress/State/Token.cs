using System.Collections.Immutable;

namespace TunnelIngress.State;

/// <summary>A service token as the ingress knows it: never the secret, only hashes of it.</summary>
/// <param name="ClientId">The public half; unique.</param>
/// <param name="Name">For people; need not be unique, so that a token can be replaced by one of the same name.</param>
/// <param name="Scope">What it is good for.</param>
/// <param name="CreatedAt">When it was created; rotation does not change it.</param>
/// <param name="ExpiresAt">From this moment on it is worthless; null is never.</param>
/// <param name="RevokedAt">Set once, for good.</param>
/// <param name="Secrets">Ordered by version.</param>
internal sealed record Token(
    string ClientId,
    string Name,
    TokenScope Scope,
    DateTimeOffset CreatedAt,
    DateTimeOffset? ExpiresAt,
    DateTimeOffset? RevokedAt,
    ImmutableArray<TokenSecret> Secrets)
{
    public bool IsExpiredAt(DateTimeOffset now) => ExpiresAt is { } expires && now >= expires;

    /// <summary>
    /// False for ever once revoked or expired: streams that were opened with it must be cut then. The secret's version plays no part,
    /// so a rotation never cuts a running stream.
    /// </summary>
    public bool IsUsableAt(DateTimeOffset now) => RevokedAt is null && !IsExpiredAt(now);

    public bool MayConnect(string tunnel) => Scope is TokenScope.Connect connect && connect.Tunnel == tunnel;

    public bool MayAccess(string service) => Scope is TokenScope.Access access && access.Services.Contains(service);
}
