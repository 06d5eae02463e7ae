using System.Buffers.Text;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using Shared.Streams.Access;

namespace TunnelIngress.Access;

/// <summary>
/// Makes and hashes service tokens. A secret is 256 random bits, so one round of SHA-256 is enough: there is nothing to guess.
/// Its prefix lets leak scanners find it.
/// </summary>
internal static class ClientSecret
{
    private const string IdSuffix = ".access";
    private const string SecretPrefix = "tunnel_";
    private const int IdBytes = 16;
    private const int SecretBytes = 32;

    /// <summary>A new token.</summary>
    public static ServiceToken NewToken() => new($"{RandomNumberGenerator.GetHexString(IdBytes * 2, lowercase: true)}{IdSuffix}", NewSecret());

    /// <summary>A new secret for a token that exists.</summary>
    public static string NewSecret() => SecretPrefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(SecretBytes));

    /// <summary>What is stored of a secret.</summary>
    public static ImmutableArray<byte> Hash(string secret) => [.. SHA256.HashData(Encoding.UTF8.GetBytes(secret))];
}
