using Shared.Pooling.Postgres.Authentication;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>A client has shown who it is, and is to be told so. For one client, one caller at a time.</summary>
internal sealed class ClientAcceptance
{
    private ReadOnlyMemory<byte> _message;

    private ClientAcceptance(LoginProof proof, ReadOnlyMemory<byte> message)
    {
        (Proof, _message) = (proof, message);
    }

    /// <summary>What it has shown of its password.</summary>
    public LoginProof Proof { get; }

    /// <summary>Which of the credential's verifiers has checked its password; null when it was none.</summary>
    public int? Verifier { get; init; }

    /// <summary>It had nothing to show.</summary>
    public static ClientAcceptance WithoutProof() => Of(LoginProof.None, default);

    /// <summary>It has shown what it should.</summary>
    /// <param name="proof">What it has shown.</param>
    /// <param name="saslFinal">Our own proof in SCRAM; empty without.</param>
    /// <param name="verifier">Which verifier has checked it; null without.</param>
    public static ClientAcceptance Of(LoginProof proof, ReadOnlySpan<byte> saslFinal, int? verifier = null)
    {
        using var writer = new MessageWriter();
        if (!saslFinal.IsEmpty)
        {
            writer.Begin(AuthenticationRequest.SaslFinal).Bytes(saslFinal).End();
        }

        writer.Begin(AuthenticationRequest.Ok).End();
        return new ClientAcceptance(proof, writer.Written.ToArray()) { Verifier = verifier };
    }

    /// <summary>
    /// What it is to be told; empty from the second time on. It goes out with the rest of the welcome, or with the reason why there is none, as
    /// PostgreSQL does it, so that the client is woken once.
    /// </summary>
    public ReadOnlyMemory<byte> Take()
    {
        var message = _message;
        _message = default;
        return message;
    }
}
