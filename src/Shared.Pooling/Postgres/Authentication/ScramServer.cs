using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Authentication;

/// <summary>The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, one login. Not safe for concurrent use.</summary>
/// <remarks>Source: RFC 5802, RFC 7677, RFC 5929 section 4; PostgreSQL documentation, "SASL Authentication".</remarks>
/// <param name="verifiers">Of the user's passwords, with one salt; a mock one for an unknown user.</param>
/// <param name="binding">The hash of our certificate, when PLUS was offered; null without.</param>
/// <param name="plus">True when the client has chosen PLUS.</param>
internal sealed class ScramServer(ImmutableArray<ScramVerifier> verifiers, byte[]? binding, bool plus)
{
    private const int NonceLength = 18;

    private string _clientFirstBare = "";
    private string _header = "";
    private string _serverFirst = "";
    private string _nonce = "";

    /// <summary>What the client has proven; enough to log in as it elsewhere, where the salt is the same.</summary>
    public LoginProof Proof { get; private set; } = LoginProof.None;

    /// <summary>Which of the verifiers has checked the proof; null before.</summary>
    public int? Verifier { get; private set; }

    /// <summary>Answers the client's first message.</summary>
    /// <exception cref="ProtocolViolationException">The message is malformed, or binds where it must not or not where it must.</exception>
    public byte[] First(ReadOnlySpan<byte> clientFirst)
    {
        var text = ScramClient.Text(clientFirst);
        var headerEnd = HeaderEnd(text);
        _header = text[..headerEnd];
        _clientFirstBare = text[headerEnd..];
        switch (_header[0])
        {
            case 'p' when plus && _header == "p=tls-server-end-point,,":
            case 'n' when !plus && _header == "n,,":
            case 'y' when !plus && binding is null && _header == "y,,":
                break;
            case 'y' when !plus:
                // Somebody between us took PLUS out of our offer (RFC 5802 section 6).
                throw new ProtocolViolationException("SCRAM channel binding negotiation error");
            default:
                throw new ProtocolViolationException("malformed SCRAM message: channel binding");
        }

        var attributes = new ScramAttributes(_clientFirstBare);
        attributes.Next('n');
        var nonce = attributes.Next('r');
        attributes.End();
        if (nonce.Length == 0 || nonce.AsSpan().ContainsAnyExceptInRange('!', '~'))
        {
            throw new ProtocolViolationException("malformed SCRAM message: nonce");
        }

        _nonce = nonce + Convert.ToBase64String(RandomNumberGenerator.GetBytes(NonceLength));
        _serverFirst = $"r={_nonce},s={Convert.ToBase64String(verifiers[0].Salt)},i={verifiers[0].Iterations}";
        return Encoding.UTF8.GetBytes(_serverFirst);
    }

    /// <summary>Checks the client's proof.</summary>
    /// <returns>Our final message; null when the password is wrong.</returns>
    /// <exception cref="ProtocolViolationException">The message is malformed.</exception>
    public byte[]? Final(ReadOnlySpan<byte> clientFinal)
    {
        var text = ScramClient.Text(clientFinal);
        var attributes = new ScramAttributes(text);
        var bound = ScramClient.FromBase64(attributes.Next('c'));
        var nonce = attributes.Next('r');
        var proof = ScramClient.FromBase64(attributes.Next('p'));
        attributes.End();
        byte[] expected = [.. Encoding.UTF8.GetBytes(_header), .. plus ? binding! : []];
        if (nonce != _nonce || !CryptographicOperations.FixedTimeEquals(bound, expected))
        {
            throw new ProtocolViolationException("SCRAM channel binding check failed");
        }

        if (proof.Length != SHA256.HashSizeInBytes)
        {
            throw new ProtocolViolationException("malformed SCRAM message: proof");
        }

        var authMessage = Encoding.UTF8.GetBytes($"{_clientFirstBare},{_serverFirst},{text[..text.LastIndexOf(",p=", StringComparison.Ordinal)]}");
        for (var i = 0; i < verifiers.Length; i++)
        {
            var verifier = verifiers[i];
            if (ClientKey(verifier, authMessage, proof) is { } clientKey)
            {
                Verifier = i;
                Proof = LoginProof.OfScram(clientKey, verifier.ServerKey);
                return Encoding.UTF8.GetBytes($"v={Convert.ToBase64String(HMACSHA256.HashData(verifier.ServerKey, authMessage))}");
            }
        }

        return null;
    }

    // The key that the proof was made with, when it is the one that belongs to the verifier.
    private static byte[]? ClientKey(ScramVerifier verifier, byte[] authMessage, byte[] proof)
    {
        var clientKey = HMACSHA256.HashData(verifier.StoredKey, authMessage);
        for (var i = 0; i < clientKey.Length; i++)
        {
            clientKey[i] ^= proof[i];
        }

        return CryptographicOperations.FixedTimeEquals(SHA256.HashData(clientKey), verifier.StoredKey) ? clientKey : null;
    }

    // gs2-header: a channel binding flag, an authorization identity that PostgreSQL does not support, each ended by a comma.
    private static int HeaderEnd(string text)
    {
        var flag = text.IndexOf(',', StringComparison.Ordinal);
        return flag > 0 && flag + 1 < text.Length && text[flag + 1] == ','
            ? flag + 2
            : throw new ProtocolViolationException("malformed SCRAM message: header");
    }
}
