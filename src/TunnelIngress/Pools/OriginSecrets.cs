using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.DataProtection;
using TunnelIngress.State;

namespace TunnelIngress.Pools;

/// <summary>What a pool proves to its database.</summary>
/// <param name="Password">The password; null without.</param>
/// <param name="Certificate">Our certificate and its key in PEM; null without.</param>
internal sealed record OriginSecret(string? Password, string? Certificate)
{
    public static OriginSecret None { get; } = new(null, null);

    /// <summary>Says nothing that is secret.</summary>
    public override string ToString() => Password is null && Certificate is null ? "nothing" : "a secret";
}

/// <summary>
/// Encrypts what pools prove to their databases, with ASP.NET Core Data Protection. The keys are in a directory of their own, which may be on
/// another volume than the state, so that a copy of the state tells nothing. What is encrypted for one service cannot be used for another.
/// Safe for concurrent use.
/// </summary>
internal sealed class OriginSecrets
{
    private const string Application = "tunnel-ingress";
    private const string Purpose = "origin credentials";

    private readonly IDataProtectionProvider _provider;

    /// <param name="keys">The directory of the keys; made with mode 0700 when it does not exist.</param>
    public OriginSecrets(string keys)
    {
        PrivateFiles.CreateDirectory(keys);
        Keys = keys;
        _provider = DataProtectionProvider.Create(new DirectoryInfo(keys), static builder => builder.SetApplicationName(Application));
    }

    /// <summary>The directory of the keys.</summary>
    public string Keys { get; }

    /// <summary>Where the keys are when nobody says otherwise.</summary>
    public static string KeysIn(string state) => Path.Combine(state, "keys");

    /// <summary>Encrypts.</summary>
    /// <exception cref="IOException">The keys cannot be used.</exception>
    public ImmutableArray<byte> Protect(string service, OriginSecret secret)
    {
        if (secret == OriginSecret.None)
        {
            return [];
        }

        try
        {
            return [.. ProtectorOf(service).Protect(JsonSerializer.SerializeToUtf8Bytes(secret))];
        }
        catch (CryptographicException exception)
        {
            throw new IOException($"The keys in {Keys} cannot be used: {exception.Message}", exception);
        }
    }

    /// <summary>Decrypts.</summary>
    /// <exception cref="IOException">It was encrypted with other keys, or for another service.</exception>
    public OriginSecret Unprotect(string service, ImmutableArray<byte> encrypted)
    {
        if (encrypted.IsEmpty)
        {
            return OriginSecret.None;
        }

        try
        {
            return JsonSerializer.Deserialize<OriginSecret>(ProtectorOf(service).Unprotect([.. encrypted]))!;
        }
        catch (CryptographicException exception)
        {
            throw new IOException(
                $"The credentials of the pool of {service} cannot be decrypted with the keys in {Keys}. Set them again with 'tunnel-ingress pool set {service} --password-file FILE'.", exception);
        }
    }

    private IDataProtector ProtectorOf(string service) => _provider.CreateProtector(Purpose, service);
}
