using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Shared.Pooling.Postgres.Authentication;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>
/// Lets a client prove who it is. An unknown user takes the same steps and gets the same answer as a wrong password. Safe for concurrent use.
/// </summary>
/// <remarks>Source: PostgreSQL documentation, "SASL Authentication", "Certificate Authentication".</remarks>
internal sealed class ClientAuthentication
{
    private const int LargestAnswer = 8 * 1024;
    private const int SaltLength = 4;

    private readonly byte[] _mockSecret = RandomNumberGenerator.GetBytes(SHA256.HashSizeInBytes);

    /// <summary>Lets the client in, or not.</summary>
    /// <param name="startup">The client.</param>
    /// <param name="credential">What it has to prove; null for an unknown user.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>What it has shown, and what is left to tell it.</returns>
    /// <exception cref="HandshakeRefusedException">The password is wrong, or there is no such user.</exception>
    /// <exception cref="ProtocolViolationException">The client does not speak the protocol.</exception>
    public async Task<ClientAcceptance> RunAsync(ClientStartup startup, ClientCredential? credential, CancellationToken cancellationToken)
    {
        if (credential is { ByCertificate: true })
        {
            return IsNamedBy(startup.ClientCertificate, startup.User)
                ? ClientAcceptance.WithoutProof()
                : throw Refused($"certificate authentication failed for user \"{startup.User}\"", SqlState.InvalidAuthorization);
        }

        using var writer = new MessageWriter();
        var acceptance = credential is { Verifiers.IsEmpty: true, Md5: { } md5 }
            ? await Md5Async(startup, md5, writer, cancellationToken)
            : await ScramAsync(startup, credential, writer, cancellationToken);
        return acceptance ?? throw Refused($"password authentication failed for user \"{startup.User}\"", SqlState.InvalidPassword);
    }

    private static HandshakeRefusedException Refused(string message, string code) => new(PostgresError.Fatal(code, message));

    private static bool IsNamedBy(X509Certificate2? certificate, string user) =>
        certificate is not null && certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false) == user;

    private static async Task<ClientAcceptance?> Md5Async(ClientStartup startup, string stored, MessageWriter writer, CancellationToken cancellationToken)
    {
        var salt = RandomNumberGenerator.GetBytes(SaltLength);
        writer.Begin(AuthenticationRequest.Md5Password).Bytes(salt).End();
        var answer = await AskAsync(startup.Reader, writer, cancellationToken);
        var expected = Encoding.ASCII.GetBytes(Md5Password.Answer(stored, salt));
        return CryptographicOperations.FixedTimeEquals(new BodyReader(answer.Span).CString(), expected)
            ? ClientAcceptance.Of(LoginProof.OfMd5(stored), default)
            : null;
    }

    private static async Task<ReadOnlyMemory<byte>> AskAsync(MessageReader reader, MessageWriter writer, CancellationToken cancellationToken)
    {
        await reader.Stream.WriteAsync(writer.Written, cancellationToken);
        writer.Clear();
        var (type, body) = await reader.ReadMessageAsync(LargestAnswer, cancellationToken);
        return type == FrontendMessage.Password ? body : throw new ProtocolViolationException("expected a password");
    }

    private async Task<ClientAcceptance?> ScramAsync(ClientStartup startup, ClientCredential? credential, MessageWriter writer, CancellationToken cancellationToken)
    {
        var binding = startup.LocalCertificate is { } certificate ? ChannelBinding.EndPointHash(certificate) : null;
        writer.Begin(AuthenticationRequest.Sasl);
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

        var isKnown = credential is { Verifiers.IsEmpty: false };
        var scram = new ScramServer(isKnown ? credential!.Verifiers : [ScramVerifier.Mock(startup.User, _mockSecret)], binding, plus);
        writer.Begin(AuthenticationRequest.SaslContinue).Bytes(scram.First(first)).End();
        var final = scram.Final((await AskAsync(startup.Reader, writer, cancellationToken)).Span);
        if (final is null || !isKnown)
        {
            return null;
        }

        return ClientAcceptance.Of(credential!.Password is { } password ? LoginProof.OfPassword(password) : scram.Proof, final, scram.Verifier);
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
