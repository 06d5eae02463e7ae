using System.Collections.Immutable;

namespace TunnelIngress.State;

/// <summary>One version of a token's secret. There are several while a rotation overlaps.</summary>
/// <param name="Version">Counts up from 1; the highest is the current one.</param>
/// <param name="Hash">SHA-256 of the secret's UTF-8 text. The secret has 256 random bits, so a fast hash is enough.</param>
/// <param name="CreatedAt">When it was created: the time of the rotation.</param>
/// <param name="ValidUntil">The end of the overlap (exclusive); null for the current version.</param>
internal sealed record TokenSecret(int Version, ImmutableArray<byte> Hash, DateTimeOffset CreatedAt, DateTimeOffset? ValidUntil)
{
    /// <summary>The most versions that may be valid at once; it bounds the work of one authentication.</summary>
    internal const int MaxValidVersions = 5;

    public bool IsValidAt(DateTimeOffset now) => ValidUntil is not { } until || now < until;
}
