using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Authentication;

/// <summary>
/// The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, one login: first message, final message, check of the server.
/// Not safe for concurrent use.
/// </summary>
/// <remarks>Source: RFC 5802, RFC 7677, RFC 5929 section 4; PostgreSQL documentation, "SASL Authentication".</remarks>
internal sealed class ScramClient
{
    public const string Mechanism = "SCRAM-SHA-256";
    public const string MechanismPlus = "SCRAM-SHA-256-PLUS";

    /// <summary>More would let a hostile server burn our processor (CVE-2026-6669).</summary>
    private const int MaxIterations = 1_000_000;

    private const int NonceLength = 18;

    private readonly string? _password;
    private readonly string _header;
    private readonly byte[] _binding;
    private readonly string _clientFirstBare;
    private readonly string _nonce;
    private ScramKeys? _keys;
    private byte[]? _serverSignature;

    /// <summary>Begins a login.</summary>
    /// <param name="password">The password; null when the keys are known.</param>
    /// <param name="keys">The keys of a client that has proven them to us.</param>
    /// <param name="binding">The hash of the server's certificate, for PLUS; null without.</param>
    /// <param name="couldBind">True when we could bind to the TLS session but the server did not offer it.</param>
    public ScramClient(string? password, ScramKeys? keys, byte[]? binding, bool couldBind)
    {
        (_password, _keys) = (password, keys);
        _header = binding is not null ? "p=tls-server-end-point,," : couldBind ? "y,," : "n,,";
        _binding = binding ?? [];
        _nonce = Convert.ToBase64String(RandomNumberGenerator.GetBytes(NonceLength));

        // PostgreSQL takes the user of the startup message; the name here is not looked at.
        _clientFirstBare = $"n=,r={_nonce}";
    }

    /// <summary>The first message.</summary>
    public byte[] First() => Encoding.UTF8.GetBytes(_header + _clientFirstBare);

    /// <summary>Answers the server's first message.</summary>
    /// <exception cref="ProtocolViolationException">The server's message is malformed, or asks for an absurd amount of work.</exception>
    public byte[] Final(ReadOnlySpan<byte> serverFirst)
    {
        var text = Text(serverFirst);
        var attributes = new ScramAttributes(text);
        var nonce = attributes.Next('r');
        var salt = FromBase64(attributes.Next('s'));
        var iterations = attributes.Next('i');
        attributes.End();
        if (!nonce.StartsWith(_nonce, StringComparison.Ordinal) || nonce.Length == _nonce.Length)
        {
            throw new ProtocolViolationException("the server's SCRAM nonce does not extend ours");
        }

        if (!int.TryParse(iterations, NumberStyles.None, CultureInfo.InvariantCulture, out var count) || count is < 1 or > MaxIterations)
        {
            throw new ProtocolViolationException($"the server asks for an impossible number of SCRAM iterations (1 to {MaxIterations} are accepted)");
        }

        _keys ??= ScramKeys.Derive(_password!, salt, count);
        var withoutProof = $"c={Convert.ToBase64String([.. Encoding.UTF8.GetBytes(_header), .. _binding])},r={nonce}";
        var authMessage = Encoding.UTF8.GetBytes($"{_clientFirstBare},{text},{withoutProof}");
        var proof = HMACSHA256.HashData(SHA256.HashData(_keys.ClientKey), authMessage);
        for (var i = 0; i < proof.Length; i++)
        {
            proof[i] ^= _keys.ClientKey[i];
        }

        _serverSignature = HMACSHA256.HashData(_keys.ServerKey, authMessage);
        return Encoding.UTF8.GetBytes($"{withoutProof},p={Convert.ToBase64String(proof)}");
    }

    /// <summary>Checks that the server knows the password, too.</summary>
    /// <exception cref="ProtocolViolationException">It does not: this is not the server it pretends to be.</exception>
    public void Verify(ReadOnlySpan<byte> serverFinal)
    {
        var attributes = new ScramAttributes(Text(serverFinal));
        var signature = FromBase64(attributes.Next('v'));
        attributes.End();
        if (_serverSignature is null || !CryptographicOperations.FixedTimeEquals(signature, _serverSignature))
        {
            throw new ProtocolViolationException("the server does not know the password: it is not the one it pretends to be");
        }
    }

    internal static string Text(ReadOnlySpan<byte> message) => message.Length <= ScramAttributes.MaxLength
        ? Encoding.UTF8.GetString(message)
        : throw new ProtocolViolationException("a SCRAM message is too long");

    internal static byte[] FromBase64(string text)
    {
        try
        {
            return Convert.FromBase64String(text);
        }
        catch (FormatException)
        {
            throw new ProtocolViolationException("malformed SCRAM message: not base64");
        }
    }
}
