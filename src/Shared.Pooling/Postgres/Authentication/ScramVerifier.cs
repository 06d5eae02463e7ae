using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Shared.Pooling.Postgres.Authentication;

/// <summary>
/// What a server keeps of a password: enough to check it, not enough to log in with it elsewhere. Immutable.
/// </summary>
/// <remarks>Source: PostgreSQL documentation, "pg_authid": SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey.</remarks>
public sealed class ScramVerifier
{
    private const string Prefix = "SCRAM-SHA-256$";
    private const int DefaultIterations = 4096;
    private const int SaltLength = 16;

    private ScramVerifier(int iterations, byte[] salt, byte[] storedKey, byte[] serverKey)
    {
        (Iterations, Salt, StoredKey, ServerKey) = (iterations, salt, storedKey, serverKey);
    }

    internal int Iterations { get; }

    internal byte[] Salt { get; }

    internal byte[] StoredKey { get; }

    internal byte[] ServerKey { get; }

    /// <summary>Makes one of a password, with a new salt.</summary>
    public static ScramVerifier Create(string password) => Create(password, RandomNumberGenerator.GetBytes(SaltLength), DefaultIterations);

    /// <summary>Makes one with the salt of another, so that a client may have either password.</summary>
    public static ScramVerifier Create(string password, ScramVerifier beside) => Create(password, beside.Salt, beside.Iterations);

    /// <summary>Reads one as PostgreSQL writes it.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out ScramVerifier? verifier)
    {
        verifier = null;
        if (!text.StartsWith(Prefix, StringComparison.Ordinal))
        {
            return false;
        }

        var parts = text[Prefix.Length..].Split('$', ':');
        if (parts.Length != 4 || !int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var iterations) || iterations < 1)
        {
            return false;
        }

        try
        {
            var (salt, storedKey, serverKey) = (Convert.FromBase64String(parts[1]), Convert.FromBase64String(parts[2]), Convert.FromBase64String(parts[3]));
            if (salt.Length == 0 || storedKey.Length != SHA256.HashSizeInBytes || serverKey.Length != SHA256.HashSizeInBytes)
            {
                return false;
            }

            verifier = new ScramVerifier(iterations, salt, storedKey, serverKey);
            return true;
        }
        catch (FormatException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Prefix}{Iterations}:{Convert.ToBase64String(Salt)}${Convert.ToBase64String(StoredKey)}:{Convert.ToBase64String(ServerKey)}");

    /// <summary>
    /// One that no password fits, always the same for a name, so that whoever guesses cannot tell an unknown user from a wrong password.
    /// </summary>
    internal static ScramVerifier Mock(string user, ReadOnlySpan<byte> secret)
    {
        var salt = HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes(user))[..SaltLength];
        return new ScramVerifier(
            DefaultIterations, salt, RandomNumberGenerator.GetBytes(SHA256.HashSizeInBytes), RandomNumberGenerator.GetBytes(SHA256.HashSizeInBytes));
    }

    internal static ScramVerifier Create(string password, byte[] salt, int iterations)
    {
        var keys = ScramKeys.Derive(password, salt, iterations);
        return new ScramVerifier(iterations, salt, SHA256.HashData(keys.ClientKey), keys.ServerKey);
    }
}
