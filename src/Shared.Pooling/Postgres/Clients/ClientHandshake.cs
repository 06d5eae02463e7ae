using System.Buffers.Binary;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Shared.Pooling.Postgres.Protocol;
using Shared.Streams.Tls;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>
/// What comes before a client's login: its requests for encryption and its startup message, or a cancel request. Strict: each request
/// once, every length checked, nothing that came before TLS is used after it.
/// </summary>
/// <remarks>Source: PostgreSQL documentation, "Start-up", "SSL Session Encryption", "Canceling Requests in Progress".</remarks>
/// <param name="options">What is offered.</param>
/// <param name="isLocal">True where nobody can listen on the way: TLS is not required there, and libpq would not use it.</param>
internal sealed class ClientHandshake(HandshakeOptions options, bool isLocal = false)
{
    private const int LargestPacket = 10_000;
    private const int SmallestCancelKey = 4;
    private const int LargestCancelKey = 256;
    private const int CancelCode = 80877102;
    private const int SslCode = 80877103;
    private const int GssCode = 80877104;
    private const int Major = 3;
    private const int NewestMinor = 2;
    private const byte TlsHandshakeRecord = 0x16;
    private static readonly SslApplicationProtocol Alpn = new("postgresql");

    private HandshakeState _state = HandshakeState.Start;

    private enum HandshakeState
    {
        /// <summary>Nothing was asked.</summary>
        Start,

        /// <summary>GSS encryption was asked for and refused.</summary>
        GssRefused,

        /// <summary>TLS was asked for and refused.</summary>
        TlsRefused,

        /// <summary>Both were.</summary>
        BothRefused,

        /// <summary>The connection is encrypted.</summary>
        Encrypted,
    }

    /// <summary>Goes as far as the startup message.</summary>
    /// <returns>What the client asks for; or a cancel request, after which the connection is to be closed.</returns>
    /// <exception cref="HandshakeRefusedException">It is to be told why not.</exception>
    /// <exception cref="ProtocolViolationException">It does not speak the protocol; it is not worth an answer.</exception>
    /// <exception cref="EndOfStreamException">It left.</exception>
    public async Task<(ClientStartup? Startup, CancelRequest? Cancel)> RunAsync(MessageReader reader, CancellationToken cancellationToken)
    {
        while (true)
        {
            await reader.FillOrThrowAsync(1, cancellationToken);
            if (reader.Buffered.Span[0] == TlsHandshakeRecord && _state == HandshakeState.Start && options.Tls is not null)
            {
                await EncryptAsync(reader, direct: true, cancellationToken);
                continue;
            }

            await reader.FillOrThrowAsync(8, cancellationToken);
            var length = BinaryPrimitives.ReadInt32BigEndian(reader.Buffered.Span);
            var code = BinaryPrimitives.ReadInt32BigEndian(reader.Buffered.Span[4..]);
            if (length is < 8 or > LargestPacket)
            {
                throw new ProtocolViolationException("invalid length of startup packet");
            }

            await reader.FillOrThrowAsync(length, cancellationToken);
            var packet = reader.Buffered[8..length].ToArray();
            reader.Advance(length);
            switch (code)
            {
                case SslCode or GssCode:
                    await AnswerEncryptionAsync(reader, code, length, cancellationToken);
                    break;
                case CancelCode:
                    return (null, Cancel(packet));
                default:
                    return (await StartAsync(reader, code, packet, cancellationToken), null);
            }
        }
    }

    private static CancelRequest Cancel(ReadOnlySpan<byte> packet)
    {
        var fields = new BodyReader(packet);
        var processId = fields.Int32();
        return fields.Rest.Length is >= SmallestCancelKey and <= LargestCancelKey
            ? new CancelRequest(processId, fields.Rest.ToArray())
            : throw new ProtocolViolationException("invalid length of cancel request");
    }

    private async ValueTask AnswerEncryptionAsync(MessageReader reader, int code, int length, CancellationToken cancellationToken)
    {
        var next = (_state, code) switch
        {
            (HandshakeState.Start or HandshakeState.GssRefused, SslCode) when options.Tls is not null => HandshakeState.Encrypted,
            (HandshakeState.Start, SslCode) => HandshakeState.TlsRefused,
            (HandshakeState.GssRefused, SslCode) => HandshakeState.BothRefused,
            (HandshakeState.Start, GssCode) => HandshakeState.GssRefused,
            (HandshakeState.TlsRefused, GssCode) => HandshakeState.BothRefused,
            _ => throw new ProtocolViolationException("encryption was asked for twice"),
        };
        if (length != 8)
        {
            throw new ProtocolViolationException("invalid length of a request for encryption");
        }

        if (next == HandshakeState.Encrypted)
        {
            // Whatever came with the request would be taken for encrypted (CVE-2021-23214).
            if (!reader.Buffered.IsEmpty)
            {
                throw new ProtocolViolationException("received unencrypted data after SSL request");
            }

            await reader.Stream.WriteAsync("S"u8.ToArray(), cancellationToken);
            await EncryptAsync(reader, direct: false, cancellationToken);
            return;
        }

        _state = next;
        await reader.Stream.WriteAsync("N"u8.ToArray(), cancellationToken);
    }

    private async ValueTask EncryptAsync(MessageReader reader, bool direct, CancellationToken cancellationToken)
    {
        _state = HandshakeState.Encrypted;
        try
        {
            var stream = await TlsStream.AcceptAsync(direct ? reader.TakeStream() : reader.Stream, Select, cancellationToken);
            reader.Continue(stream);
            if (direct && stream.Session.NegotiatedApplicationProtocol != Alpn)
            {
                throw new ProtocolViolationException("received direct SSL connection request without ALPN protocol negotiation extension");
            }
        }
        catch (AuthenticationException exception)
        {
            throw new ProtocolViolationException($"the TLS handshake failed: {exception.Message}");
        }
    }

    private SslServerAuthenticationOptions Select(string serverName)
    {
        var selected = options.Tls!(serverName);
        selected.EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13;
        selected.ApplicationProtocols = [Alpn];
        return selected;
    }

    private async ValueTask<ClientStartup> StartAsync(MessageReader reader, int version, byte[] packet, CancellationToken cancellationToken)
    {
        if (version >> 16 != Major)
        {
            throw Refused(SqlState.FeatureNotSupported, $"unsupported frontend protocol {version >> 16}.{version & 0xffff}: server supports 3.0 to 3.{NewestMinor}");
        }

        if (options.RequireTls && !isLocal && _state != HandshakeState.Encrypted)
        {
            throw Refused(SqlState.InvalidAuthorization, "this pooler takes encrypted connections only; connect with sslmode=require or stricter");
        }

        var session = (reader.Stream as TlsStream)?.Session;
        var startup = StartupParameters.Read(packet, out var unknown) with
        {
            Reader = reader,
            Minor = Math.Min(version & 0xffff, NewestMinor) == NewestMinor ? NewestMinor : 0,
            IsEncrypted = session is not null,
            LocalCertificate = session?.LocalCertificate,
            ClientCertificate = session?.RemoteCertificate as X509Certificate2,
            ServerName = string.IsNullOrEmpty(session?.TargetHostName) ? null : session.TargetHostName,
        };
        if ((version & 0xffff) > NewestMinor || (version & 0xffff) == 1 || unknown.Count > 0)
        {
            await NegotiateAsync(reader, startup.Minor, unknown, cancellationToken);
        }

        return startup;
    }

    private static async ValueTask NegotiateAsync(MessageReader reader, int minor, IReadOnlyList<string> unknown, CancellationToken cancellationToken)
    {
        using var writer = new MessageWriter();
        writer.Begin(BackendMessage.NegotiateProtocolVersion).Int32((Major << 16) | minor).Int32(unknown.Count);
        foreach (var name in unknown)
        {
            writer.CString(name);
        }

        writer.End();
        await reader.Stream.WriteAsync(writer.Written, cancellationToken);
    }

    private static HandshakeRefusedException Refused(string code, string message) => new(PostgresError.Fatal(code, message));
}
