using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using TunnelIngress.State;

namespace TunnelIngress.Access;

/// <summary>Why a token was not accepted: for our own log only. The caller gets one answer for all.</summary>
internal enum Denial
{
    /// <summary>Accepted.</summary>
    None,

    /// <summary>A header is missing or too long to be one of ours.</summary>
    Malformed,

    /// <summary>No such client id.</summary>
    Unknown,

    /// <summary>The secret is wrong, or an old one whose overlap is over.</summary>
    WrongSecret,

    /// <summary>Revoked.</summary>
    Revoked,

    /// <summary>Expired.</summary>
    Expired,
}

/// <summary>
/// Checks a client id and secret against the state. The work is the same whatever is wrong: one hash, and as many constant-time
/// comparisons as a token may have secrets, with made-up ones where it has fewer. Safe for concurrent use.
/// </summary>
internal static class AccessGate
{
    private const int MaxHeaderLength = 128;
    private const int MaxUtf8Length = MaxHeaderLength * 3;

    /// <summary>The first version is 1.</summary>
    private const int NoVersion = 0;

    private static readonly ImmutableArray<byte> NobodysHash = [.. RandomNumberGenerator.GetBytes(SHA256.HashSizeInBytes)];

    /// <summary>What is kept of a secret that will be checked again.</summary>
    public static byte[] Hash(string clientSecret) => SHA256.HashData(Encoding.UTF8.GetBytes(clientSecret));

    /// <summary>The token, or null and why.</summary>
    public static AcceptedToken? Authenticate(string clientId, string clientSecret, StateSnapshot state, DateTimeOffset now, out Denial denial)
    {
        if (clientId.Length is 0 or > MaxHeaderLength || clientSecret.Length is 0 or > MaxHeaderLength)
        {
            denial = Denial.Malformed;
            return null;
        }

        Span<byte> utf8 = stackalloc byte[MaxUtf8Length];
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(utf8[..Encoding.UTF8.GetBytes(clientSecret, utf8)], hash);
        CryptographicOperations.ZeroMemory(utf8);
        return Authenticate(clientId, hash, state, now, out denial);
    }

    /// <summary>The token, or null and why.</summary>
    public static AcceptedToken? Authenticate(string clientId, ReadOnlySpan<byte> hash, StateSnapshot state, DateTimeOffset now, out Denial denial)
    {
        var token = state.Tokens.GetValueOrDefault(clientId);
        var version = VersionOf(token?.Secrets ?? [], hash, now);
        denial = (token, version) switch
        {
            (null, _) => Denial.Unknown,
            (_, NoVersion) => Denial.WrongSecret,
            ({ RevokedAt: not null }, _) => Denial.Revoked,
            _ => token.IsUsableAt(now) ? Denial.None : Denial.Expired,
        };
        return denial == Denial.None ? new AcceptedToken(token!, version) : null;
    }

    private static int VersionOf(ImmutableArray<TokenSecret> secrets, ReadOnlySpan<byte> hash, DateTimeOffset now)
    {
        var version = NoVersion;

        // No early exit: the time must tell neither whether the id exists nor which version a guess came near to.
        for (var i = 0; i < Math.Max(secrets.Length, TokenSecret.MaxValid); i++)
        {
            var isSecret = i < secrets.Length;
            var isEqual = CryptographicOperations.FixedTimeEquals(hash, (isSecret ? secrets[i].Hash : NobodysHash).AsSpan());
            version = isEqual && isSecret && secrets[i].IsValidAt(now) ? secrets[i].Version : version;
        }

        return version;
    }
}

/// <summary>A token that was accepted.</summary>
/// <param name="Token">The token.</param>
/// <param name="SecretVersion">Which of its secrets was shown: <see cref="TokenSecret.Version"/>.</param>
internal readonly record struct AcceptedToken(Token Token, int SecretVersion)
{
    public string ClientId => Token.ClientId;

    public TokenScope Scope => Token.Scope;
}
