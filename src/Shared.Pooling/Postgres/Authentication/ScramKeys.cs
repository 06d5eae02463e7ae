using System.Security.Cryptography;
using System.Text;

namespace Shared.Pooling.Postgres.Authentication;

/// <summary>What a SCRAM-SHA-256 client needs of a password. Source: RFC 5802 section 3, RFC 7677.</summary>
/// <param name="ClientKey">Proves the password.</param>
/// <param name="ServerKey">Proves that the server knows it, too.</param>
internal sealed record ScramKeys(byte[] ClientKey, byte[] ServerKey)
{
    /// <summary>Derives the keys; costs as much as there are iterations.</summary>
    public static ScramKeys Derive(string password, ReadOnlySpan<byte> salt, int iterations)
    {
        var salted = Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(Prepare(password)), salt, iterations, HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);
        return new ScramKeys(HMACSHA256.HashData(salted, "Client Key"u8), HMACSHA256.HashData(salted, "Server Key"u8));
    }

    // SASLprep (RFC 4013) changes only what is not ASCII; where normalization is impossible PostgreSQL takes the bytes as they are.
    private static string Prepare(string password)
    {
        if (Ascii.IsValid(password))
        {
            return password;
        }

        try
        {
            return password.Normalize(NormalizationForm.FormKC);
        }
        catch (ArgumentException)
        {
            return password;
        }
    }
}
