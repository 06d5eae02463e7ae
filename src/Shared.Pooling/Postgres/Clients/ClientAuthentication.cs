using System.Security.Cryptography;
using System.Text;
using Shared.Pooling.Postgres.Authentication;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>
/// Asks a client for its password. An unknown user takes the same steps and gets the same answer as a wrong password. Safe for concurrent use.
/// </summary>
/// <remarks>Source: PostgreSQL documentation, "SASL Authentication".</remarks>
/// <param name="credentials">Knows the users.</param>
internal sealed class ClientAuthentication(IClientCredentials credentials)
{
    private const int LargestAnswer = 8 * 1024;
    private const int Md5Request = 5;
    private const int SaslRequest = 10;
    private const int SaslContinue = 11;
    private const int SaslFinal = 12;
    private const int SaltLength = 4;

    private readonly byte[] _mockSecret = RandomNumberGenerator.GetBytes(SHA256.HashSizeInBytes);

    /// <summary>Lets the client in, or not.</summary>
    /// <exception cref="HandshakeRefusedException">The password is wrong, or there is no such user.</exception>
    /// <exception cref="ProtocolViolationException">The client does not speak the protocol.</exception>
    public async Task RunAsync(ClientStartup startup, CancellationToken cancellationToken)
    {
        var credential = await credentials.FindAsync(startup.User, startup.Database, cancellationToken);
        using var writer = new MessageWriter();
        var known = credential is { Verifier: null, Md5: { } md5 }
            ? await Md5Async(startup, md5, writer, cancellationToken)
            : await ScramAsync(startup, credential?.Verifier, writer, cancellationToken);
        if (!known)
        {
            throw new HandshakeRefusedException(PostgresError.Fatal(
                SqlState.InvalidPassword, $"password authentication failed for user \"{startup.User}\""));
        }
    }

    private static async Task<bool> Md5Async(ClientStartup startup, string stored, MessageWriter writer, CancellationToken cancellationToken)
    {
        var salt = RandomNumberGenerator.GetBytes(SaltLength);
        writer.Begin(BackendMessage.Authentication).Int32(Md5Request).Bytes(salt).End();
        var answer = await AskAsync(startup.Reader, writer, cancellationToken);
        var expected = Encoding.ASCII.GetBytes(Md5Password.Answer(stored, salt));
        return CryptographicOperations.FixedTimeEquals(new BodyReader(answer.Span).CString(), expected);
    }

    private static async Task<ReadOnlyMemory<byte>> AskAsync(MessageReader reader, MessageWriter writer, CancellationToken cancellationToken)
    {
        await reader.Stream.WriteAsync(writer.Written, cancellationToken);
        writer.Clear();
        var (type, body) = await reader.ReadMessageAsync(LargestAnswer, cancellationToken);
        return type == FrontendMessage.Password ? body : throw new ProtocolViolationException("expected a password");
    }

    private async Task<bool> ScramAsync(ClientStartup startup, ScramVerifier? verifier, MessageWriter writer, CancellationToken cancellationToken)
    {
        var binding = startup.LocalCertificate is { } certificate ? ChannelBinding.EndPointHash(certificate) : null;
        writer.Begin(BackendMessage.Authentication).Int32(SaslRequest);
        if (binding is not null)
        {
            writer.CString(ScramClient.MechanismPlus);
        }

        writer.CString(ScramClient.Mechanism).Byte(0).End();
        var chosen = await AskAsync(startup.Reader, writer, cancellationToken);
        var (mechanism, first) = ReadInitial(chosen.Span);
        var plus = mechanism == ScramClient.MechanismPlus && binding is not null;
        if (!plus && mechanism != ScramClient.Mechanism)
        {
            throw new ProtocolViolationException("client selected an invalid SASL authentication mechanism");
        }

        var scram = new ScramServer(verifier ?? ScramVerifier.Mock(startup.User, _mockSecret), binding, plus);
        writer.Begin(BackendMessage.Authentication).Int32(SaslContinue).Bytes(scram.First(first)).End();
        var final = scram.Final((await AskAsync(startup.Reader, writer, cancellationToken)).Span);
        if (final is null || verifier is null)
        {
            return false;
        }

        writer.Begin(BackendMessage.Authentication).Int32(SaslFinal).Bytes(final).End();
        await startup.Reader.Stream.WriteAsync(writer.Written, cancellationToken);
        return true;
    }

    private static (string Mechanism, byte[] First) ReadInitial(ReadOnlySpan<byte> body)
    {
        var fields = new BodyReader(body);
        var mechanism = Encoding.UTF8.GetString(fields.CString());
        var length = fields.Int32();
        return length == fields.Rest.Length
            ? (mechanism, fields.Rest.ToArray())
            : throw new ProtocolViolationException("malformed SASL initial response");
    }
}
