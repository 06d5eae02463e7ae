using Shared.Pooling.Postgres.Authentication;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>A client may come in.</summary>
/// <param name="Proof">What it has shown of its password.</param>
/// <param name="Message">
/// What it is told of that. It goes out with the rest of the welcome, as PostgreSQL does it, so that the client is woken once.
/// </param>
internal sealed record ClientAcceptance(LoginProof Proof, ReadOnlyMemory<byte> Message)
{
    private const int SaslFinal = 12;

    /// <summary>It had nothing to show.</summary>
    public static ClientAcceptance WithoutProof { get; } = Of(LoginProof.None, default);

    /// <summary>It has shown what it should.</summary>
    /// <param name="proof">What it has shown.</param>
    /// <param name="saslFinal">Our own proof in SCRAM; empty without.</param>
    public static ClientAcceptance Of(LoginProof proof, ReadOnlySpan<byte> saslFinal)
    {
        using var writer = new MessageWriter();
        if (!saslFinal.IsEmpty)
        {
            writer.Begin(BackendMessage.Authentication).Int32(SaslFinal).Bytes(saslFinal).End();
        }

        writer.Begin(BackendMessage.Authentication).Int32(0).End();
        return new ClientAcceptance(proof, writer.Written.ToArray());
    }
}
