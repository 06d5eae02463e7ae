using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Tunnel.Bench.Contenders;

namespace Tunnel.Bench.Pooling;

/// <summary>
/// SCRAM-SHA-256 for thousands of logins of one user: the costly part, which depends on salt and password only, is done once.
/// The server's own proof is not checked, because the server is ours.
/// </summary>
internal sealed class ScramLogin(PooledLogin login)
{
    private const string WithoutBinding = "n,,";

    private readonly Lock _lock = new();
    private string? _saltAndCount;
    private byte[] _saltedPassword = [];

    public string User => login.User;

    public static string NewNonce() => Convert.ToBase64String(RandomNumberGenerator.GetBytes(18));

    public static string First(string nonce) => $"{WithoutBinding}{Bare(nonce)}";

    /// <returns>The client's final message, for the server's first one.</returns>
    public string Final(string nonce, string serverFirst)
    {
        var parts = serverFirst.Split(',');
        var withoutProof = $"c={Convert.ToBase64String(Encoding.ASCII.GetBytes(WithoutBinding))},{parts[0]}";
        var clientKey = HMACSHA256.HashData(SaltedPassword(parts[1][2..], parts[2][2..]), "Client Key"u8);
        var signature = HMACSHA256.HashData(SHA256.HashData(clientKey), Encoding.ASCII.GetBytes($"{Bare(nonce)},{serverFirst},{withoutProof}"));
        for (var i = 0; i < signature.Length; i++)
        {
            signature[i] ^= clientKey[i];
        }

        return $"{withoutProof},p={Convert.ToBase64String(signature)}";
    }

    private static string Bare(string nonce) => $"n=,r={nonce}";

    private byte[] SaltedPassword(string salt, string iterations)
    {
        lock (_lock)
        {
            if (_saltAndCount != salt + iterations)
            {
                _saltedPassword = Rfc2898DeriveBytes.Pbkdf2(
                    login.Password, Convert.FromBase64String(salt), int.Parse(iterations, CultureInfo.InvariantCulture), HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);
                _saltAndCount = salt + iterations;
            }

            return _saltedPassword;
        }
    }
}
