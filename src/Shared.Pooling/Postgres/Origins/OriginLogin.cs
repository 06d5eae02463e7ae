using System.Text;
using Shared.Pooling.Postgres.Authentication;
using Shared.Pooling.Postgres.Protocol;
using Shared.Streams.Tls;

namespace Shared.Pooling.Postgres.Origins;

/// <summary>One login at an origin, from the startup message to its first ReadyForQuery. What the server may send is bounded.</summary>
/// <remarks>Source: PostgreSQL documentation, "Start-up" and "SASL Authentication".</remarks>
internal sealed class OriginLogin(OriginConnector connector, MessageReader reader) : IDisposable
{
    private const int Protocol30 = 3 << 16;
    private const int Protocol32 = Protocol30 | 2;
    private const int LargestMessage = 64 * 1024;
    private const int MostMessages = 256;
    private const int LargestCancelKey = 256;

    private readonly OriginOptions _options = connector.Options;
    private readonly Dictionary<string, string> _parameters = new(StringComparer.Ordinal);
    private readonly MessageWriter _writer = new();
    private LoginState _state = LoginState.Started;
    private ScramClient? _scram;
    private bool _negotiated;
    private int _reported;
    private int _processId;
    private byte[] _cancelKey = [];

    /// <summary>Logs in.</summary>
    /// <exception cref="OriginException">The server refuses.</exception>
    /// <exception cref="ProtocolViolationException">It does not speak the protocol.</exception>
    /// <param name="parameters">Further parameters of the startup message.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    public async Task<OriginConnection> RunAsync(IReadOnlyList<KeyValuePair<string, string>> parameters, CancellationToken cancellationToken)
    {
        _writer.BeginUntyped().Int32(Protocol32).CString("user").CString(_options.User).CString("database").CString(_options.Database);
        foreach (var (name, value) in parameters)
        {
            _writer.CString(name).CString(value);
        }

        _writer.Byte(0).End();
        await SendAsync(cancellationToken);
        for (var messages = 0; messages < MostMessages; messages++)
        {
            var (type, body) = await reader.ReadMessageAsync(LargestMessage, cancellationToken);
            if (type == BackendMessage.ReadyForQuery)
            {
                Expect(_state == LoginState.Authenticated, "it is ready before it has let us in");
                return new OriginConnection(connector, reader, _parameters, _processId, _cancelKey);
            }

            if (_state == LoginState.SaslStarted)
            {
                // Keys are derived from a password for milliseconds, in which no other socket of this thread should wait.
                await Task.Yield();
            }

            Receive(type, body.Span);
            await SendAsync(cancellationToken);
        }

        throw new ProtocolViolationException($"the login takes more than {MostMessages} messages");
    }

    /// <inheritdoc/>
    public void Dispose() => _writer.Dispose();

    private static void Expect(bool condition, string otherwise)
    {
        if (!condition)
        {
            throw new ProtocolViolationException(otherwise);
        }
    }

    private async ValueTask SendAsync(CancellationToken cancellationToken)
    {
        if (_writer.Count > 0)
        {
            await reader.Stream.WriteAsync(_writer.Written, cancellationToken);
            _writer.Clear();
        }
    }

    private void Receive(byte type, ReadOnlySpan<byte> body)
    {
        var fields = new BodyReader(body);
        switch (type)
        {
            case BackendMessage.ErrorResponse:
                throw OriginException.Refused(PostgresError.Read(body), _options.User, _options.Database);
            case BackendMessage.NegotiateProtocolVersion:
                Expect(_state == LoginState.Started && !_negotiated, "it negotiates the protocol twice, or too late");
                _negotiated = true;
                Expect(fields.Int32() is Protocol30 or Protocol32 && fields.Int32() == 0, "it wants a protocol that we did not offer");
                break;
            case BackendMessage.Authentication:
                Authenticate((AuthenticationRequest)fields.Int32(), fields.Rest);
                break;
            case BackendMessage.ParameterStatus:
                _reported += body.Length;
                Expect(_reported <= LargestMessage, "it reports too many parameters");
                _parameters[Encoding.UTF8.GetString(fields.CString())] = Encoding.UTF8.GetString(fields.CString());
                break;
            case BackendMessage.BackendKeyData:
                _processId = fields.Int32();
                _cancelKey = fields.Rest.ToArray();
                Expect(_cancelKey.Length is >= 4 and <= LargestCancelKey, "its cancel key has an impossible length");
                break;
            case BackendMessage.NoticeResponse:
                break;
            default:
                throw new ProtocolViolationException($"it sends '{(char)type}' during the login");
        }
    }

    private void Authenticate(AuthenticationRequest request, ReadOnlySpan<byte> rest)
    {
        switch (request)
        {
            case AuthenticationRequest.Ok:
                // A server that skips its own proof is not the one it pretends to be.
                Expect(_state is LoginState.Started or LoginState.PasswordSent or LoginState.ServerVerified, "it lets us in before it has proven itself");
                Expect(_state == LoginState.ServerVerified || !_options.RequireChannelBinding, "it lets us in without channel binding, which the pool requires");
                _state = LoginState.Authenticated;
                break;
            case AuthenticationRequest.CleartextPassword:
                Expect(!_options.RequireChannelBinding, "it asks for a password in clear, but the pool requires channel binding");
                Confide("the password in clear", inClear: true);
                SendPassword(Password());
                break;
            case AuthenticationRequest.Md5Password:
                Expect(!_options.RequireChannelBinding && rest.Length == 4, "it asks for md5, but the pool requires channel binding");
                Confide("the md5 of the password", inClear: false);
                SendPassword(Md5Password.Answer(_options.Proof.Md5 ?? Md5Password.Stored(Password(), _options.User), rest));
                break;
            case AuthenticationRequest.Sasl:
                Enter(LoginState.Started, LoginState.SaslStarted);
                StartScram(rest);
                break;
            case AuthenticationRequest.SaslContinue:
                Enter(LoginState.SaslStarted, LoginState.SaslAnswered);
                _writer.Begin(FrontendMessage.Password).Bytes(_scram!.Final(rest)).End();
                break;
            case AuthenticationRequest.SaslFinal:
                Enter(LoginState.SaslAnswered, LoginState.ServerVerified);
                _scram!.Verify(rest);
                break;
            default:
                throw new OriginException(
                    "credentials", SqlState.InvalidAuthorization, $"the database asks for an authentication method that is not supported ({request})",
                    "Use scram-sha-256 in its pg_hba.conf.");
        }
    }

    // Whoever is in between can ask as well, and log in with the answer. With an answer of SCRAM nobody can.
    private void Confide(string what, bool inClear)
    {
        var encrypted = reader.Stream is TlsStream;
        var proven = _options.IsLocal || (encrypted && _options.ProvesOrigin);
        if (proven || (_options.AllowUnverifiedPassword && (encrypted || !inClear)))
        {
            return;
        }

        var why = encrypted ? "its certificate was not verified" : "the connection is without TLS";
        throw new OriginException(
            "credentials", SqlState.InvalidAuthorization, $"the database asks for {what}, but {why}, so that somebody else may be asking",
            "Set the pool's Tls to verify-full, with the CaFile that its certificate chains to; or have the database ask for scram-sha-256 (pg_hba.conf, and a "
            + "password that was set under password_encryption = scram-sha-256). AllowUnverifiedPassword gives it to whoever answers, in clear only on TLS.");
    }

    private void Enter(LoginState from, LoginState to)
    {
        Expect(_state == from, "its authentication messages come in the wrong order");
        _state = to;
    }

    private void StartScram(ReadOnlySpan<byte> mechanisms)
    {
        var (scram, plus) = (false, false);
        var names = new BodyReader(mechanisms);
        for (var name = names.CString(); !name.IsEmpty; name = names.CString())
        {
            scram |= name.SequenceEqual("SCRAM-SHA-256"u8);
            plus |= name.SequenceEqual("SCRAM-SHA-256-PLUS"u8);
        }

        var certificate = (reader.Stream as TlsStream)?.Session.RemoteCertificate;
        var binding = certificate is null ? null : ChannelBinding.EndPointHash(certificate);
        var bind = plus && binding is not null;
        Expect(bind || !_options.RequireChannelBinding, "it offers no channel binding, which the pool requires");
        Expect(bind || scram, "it offers no SCRAM mechanism that is known");
        _scram = new ScramClient(_options.Proof.Keys is null ? Password() : null, _options.Proof.Keys, bind ? binding : null, couldBind: binding is not null);
        var first = _scram.First();
        _writer.Begin(FrontendMessage.Password).CString(bind ? ScramClient.MechanismPlus : ScramClient.Mechanism).Int32(first.Length).Bytes(first).End();
    }

    private void SendPassword(string password)
    {
        Enter(LoginState.Started, LoginState.PasswordSent);
        _writer.Begin(FrontendMessage.Password).CString(password).End();
    }

    private string Password() => _options.Password ?? _options.Proof.Password ?? throw new OriginException(
        "credentials", SqlState.InvalidPassword, $"the database asks for the password of user \"{_options.User}\", and the pool has none",
        "Give the pool its password (PasswordFile), or take the clients' own from the database (AuthQuery).");

    private enum LoginState
    {
        Started,
        PasswordSent,
        SaslStarted,
        SaslAnswered,
        ServerVerified,
        Authenticated,
    }
}
