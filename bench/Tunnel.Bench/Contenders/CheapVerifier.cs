using System.Security.Cryptography;

namespace Tunnel.Bench.Contenders;

/// <summary>
/// What PostgreSQL keeps of a password, with one iteration instead of 4,096: whoever logs in computes next to nothing, so what a login costs
/// is what the server and the pooler make of it.
/// </summary>
/// <remarks>Source: PostgreSQL documentation, "pg_authid"; RFC 5802 section 3.</remarks>
internal static class CheapVerifier
{
    private const int Iterations = 1;
    private const int SaltLength = 16;

    public static string Create(string password)
    {
        var salt = RandomNumberGenerator.GetBytes(SaltLength);
        var salted = Rfc2898DeriveBytes.Pbkdf2(password, salt, Iterations, HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);
        var storedKey = SHA256.HashData(HMACSHA256.HashData(salted, "Client Key"u8));
        var serverKey = HMACSHA256.HashData(salted, "Server Key"u8);
        return $"SCRAM-SHA-256${Iterations}:{Convert.ToBase64String(salt)}${Convert.ToBase64String(storedKey)}:{Convert.ToBase64String(serverKey)}";
    }
}
