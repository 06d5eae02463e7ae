using System.Buffers.Binary;
using Shared.Pooling.Pools;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Statements;
using Shared.Streams;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// A connection to the origin, from its login to its end. Its own loop reads whatever the server says, for as long as it lives: linked
/// to a client it passes answers on; alone it notices at once when the server goes away.
/// Previous stop of an answer: the origin. Next stop: <see cref="ClientOutput"/>.
/// </summary>
internal sealed class ServerSession : IPooledConnection
{
    /// <summary>From this many bytes on, answers are written to the client from where they were read instead of being collected.</summary>
    private const int DirectWrite = 4 * 1024;

    /// <summary>A message that has to be seen whole may have this many bytes; a larger one is passed on unseen.</summary>
    private const int MostSeen = 64 * 1024;

    private const string NotReset = "it was not reset";

    private readonly OriginConnection _origin;
    private readonly IServerOwner _owner;
    private readonly MessageWriter _replacement = new();
    private readonly CancellationTokenSource _closing = new();
    private MessageWriter _requests = new();
    private MessageWriter _writing = new();
    private ClientSession? _client;
    private Task _reading = Task.CompletedTask;
    private long _passing;
    private bool _passingDropped;
    private bool _delivering;
    private bool _flushing;
    private bool _fatal;
    private int _cancelling;
    private int _broken;
    private long? _returningSince;

    public ServerSession(OriginConnection origin, IServerOwner owner, int mostStatements)
    {
        (_origin, _owner) = (origin, owner);
        Statements = new ServerStatements(mostStatements);
        Conversation = new Conversation(Statements);
        Reported = new ReportedParameters(origin.Parameters);
    }

    /// <summary>Guards everything below, and the order of what is appended to the linked client's output.</summary>
    public Lock Gate { get; } = new();

    /// <summary>What was asked and what was answered.</summary>
    public Conversation Conversation { get; }

    /// <summary>What is prepared here.</summary>
    public ServerStatements Statements { get; }

    /// <summary>What goes to the server with the next flush.</summary>
    public MessageWriter Requests => _requests;

    /// <summary>Which settings apply here, as far as clients have set any.</summary>
    public SettingsSnapshot Settings { get; set; } = SettingsSnapshot.Empty;

    /// <summary>What the server has reported of its parameters.</summary>
    public ReportedParameters Reported { get; private set; }

    /// <summary>True while a message of the client's is only partly here.</summary>
    public bool PartialRequest { get; set; }

    /// <summary>True while answers are being written from where they were read.</summary>
    public bool IsDelivering => _delivering;

    /// <summary>What keeps a client here although its transaction is over.</summary>
    public Pins Pins { get; set; }

    /// <summary>True when the session may hold something that nobody keeps account of, and has to be reset before another client gets it.</summary>
    public bool NeedsReset { get; set; }

    /// <summary>The process id of the server's side.</summary>
    public int ProcessId => _origin.ProcessId;

    /// <summary>Who is linked, or null.</summary>
    public ClientSession? Client => Volatile.Read(ref _client);

    /// <inheritdoc/>
    public bool IsBroken => Volatile.Read(ref _broken) != 0;

    /// <summary>
    /// The one place that knows why a connection may not be handed to another client: null when it is provably clean and idle. Under the gate.
    /// </summary>
    public string? NotReusable() =>
        _broken != 0 ? "it is closed"
        : Conversation.Doubt
        ?? (Conversation.InjectedFailure is not null ? "a setting could not be applied"
        : !Conversation.IsAnswered ? "something is unanswered"
        : Conversation.TransactionStatus != 'I' ? "a transaction is open"
        : _passing > 0 || _requests.Count > 0 || _flushing || _delivering || PartialRequest ? "a message is on its way"
        : _cancelling > 0 ? "a cancel request is on its way"
        : Pins != Pins.None ? "a client has left something in the session"
        : NeedsReset ? NotReset
        : null);

    /// <summary>Begins to read. Call once.</summary>
    public void Start() => _reading = RunAsync();

    /// <summary>Closes the connection and gives its memory back.</summary>
    public async ValueTask DisposeAsync()
    {
        Break("the pool closed it");
        await _reading;
        await _origin.DisposeAsync();
        _origin.Reader.Dispose();
        _requests.Dispose();
        _writing.Dispose();
        _replacement.Dispose();
        _closing.Dispose();
    }

    private async Task RunAsync()
    {
        await Task.Yield();
        var reason = "the server closed the connection";
        try
        {
            while (await _origin.Reader.FillMoreAsync(_closing.Token))
            {
                await DeliverAsync();
            }
        }
        catch (Exception exception)
        {
            // Whatever it is, nobody can be sure of this connection any more; the reason is in the log.
            reason = exception.Message;
        }

        Break(reason);
    }

    /// <summary>Links a client. Under the gate; the connection must be free.</summary>
    public void Link(ClientSession client)
    {
        if (_client is not null || Conversation.PendingCount > 0)
        {
            throw new InvalidOperationException("the server connection is in use");
        }

        _client = client;
    }

    /// <summary>Sends what was asked.</summary>
    /// <param name="client">Who asked; nothing is sent when he is not linked any more. Null to clean up when nobody is linked.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="StreamAbortedException">The server is gone.</exception>
    public ValueTask FlushRequestsAsync(ClientSession? client, CancellationToken cancellationToken) =>
        WriteAsync(client, ReadOnlyMemory<byte>.Empty, cancellationToken);

    /// <summary>Sends what was asked and then more bytes, without collecting them.</summary>
    /// <param name="client">Who asked.</param>
    /// <param name="bytes">The bytes.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="StreamAbortedException">The server is gone.</exception>
    public async ValueTask WriteAsync(ClientSession? client, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        lock (Gate)
        {
            if (_client != client || (_requests.Count == 0 && bytes.IsEmpty))
            {
                return;
            }

            (_requests, _writing) = (_writing, _requests);
            _flushing = true;
        }

        if (_writing.Count > 0)
        {
            await _origin.Stream.WriteAsync(_writing.Written, cancellationToken);
        }

        if (!bytes.IsEmpty)
        {
            await _origin.Stream.WriteAsync(bytes, cancellationToken);
        }

        lock (Gate)
        {
            _writing.Clear();
            _flushing = false;
        }

        await UnlinkWhenIdleAsync();
    }

    /// <summary>Asks the server to cancel what runs. The connection stays with its client until the server has taken note.</summary>
    public async Task CancelAsync(CancellationToken cancellationToken)
    {
        lock (Gate)
        {
            if (_broken != 0 || Conversation.PendingCount == 0)
            {
                return;
            }

            _cancelling++;
        }

        try
        {
            await _owner.CancelAsync(_origin, cancellationToken);
        }
        finally
        {
            lock (Gate)
            {
                _cancelling--;
            }

            await UnlinkWhenIdleAsync();
        }
    }

    /// <summary>The linked client is gone: what it left is undone, or the connection closed where that is not sure.</summary>
    public async Task LeaveAsync(ClientSession client, bool reset, CancellationToken cancellationToken)
    {
        bool running;
        lock (Gate)
        {
            if (_client != client)
            {
                return;
            }

            _client = null;
            running = !Conversation.IsAnswered || _passing > 0 || _flushing || _delivering || PartialRequest || _requests.Count > 0 || Conversation.Doubt is not null;
            if (!running)
            {
                Settings = client.SettingsAfterRollback();
                AskForCleanUp(reset || NeedsReset);
            }
        }

        if (running)
        {
            // What still runs would go on for a client that nobody serves any more, and hold its locks.
            await CancelAsync(cancellationToken);
            Break("its client left in the middle of a request");
            return;
        }

        await UnlinkWhenIdleAsync();
    }

    /// <summary>Ends the connection at once.</summary>
    public void Break(string reason)
    {
        ClientSession? client;
        lock (Gate)
        {
            if (_broken != 0)
            {
                return;
            }

            _broken = 1;
            (client, _client) = (_client, null);
        }

        _closing.Cancel();
        _origin.Stream.Abort(new StreamAbort(AbortCode.Dropped, "the pooler let go of it"));
        _owner.Lost(this, reason);
        client?.ServerLost(this, reason, _fatal);
    }

    /// <summary>Closes a connection that does not come back from being cleaned up in time.</summary>
    public void BreakWhenStuck(TimeSpan patience)
    {
        if (_returningSince is { } since && _owner.Time.GetElapsedTime(since) > patience)
        {
            Break("it could not be cleaned up in time");
        }
    }

    private async ValueTask DeliverAsync()
    {
        ReadOnlyMemory<byte> direct = default;
        ClientSession? client;
        int used, needed;
        var (unlinked, reusable) = (false, false);
        lock (Gate)
        {
            client = _client;
            var bytes = _origin.Reader.Buffered;
            (var run, used, needed) = Take(bytes.Span, client);
            var rest = bytes[run..used];
            unlinked = client is not null && CanUnlink();
            if (client is not null && !unlinked && rest.Length >= DirectWrite)
            {
                direct = rest;
                _delivering = true;
            }
            else if (!rest.IsEmpty)
            {
                client?.Output.Append(rest.Span);
            }

            reusable = unlinked && Unlink(client!);
        }

        if (client is not null && !unlinked)
        {
            await SendOnAsync(client, direct);
        }

        _origin.Reader.Advance(used);
        if (unlinked)
        {
            // The connection is free before its client can have seen that it is, so his next query finds it.
            await ReturnAsync(reusable);
            client!.FlushInBackground();
        }
        else
        {
            await UnlinkWhenIdleAsync();
        }

        if (needed > 0)
        {
            await _origin.Reader.FillOrThrowAsync(needed, _closing.Token);
        }
    }

    private async ValueTask SendOnAsync(ClientSession client, ReadOnlyMemory<byte> direct)
    {
        try
        {
            if (!direct.IsEmpty)
            {
                await client.Output.WriteAsync(direct, _closing.Token);
                lock (Gate)
                {
                    _delivering = false;
                    AppendLocalAnswers(client);
                }
            }

            await client.Output.FlushAsync(_closing.Token);
        }
        catch (StreamAbortedException)
        {
            // The client's own loop leaves the link; until then the server must not be held up by it.
            lock (Gate)
            {
                _delivering = false;
            }

            client.OutputLost();
        }
    }

    /// <summary>Takes what can be taken of the bytes that arrived.</summary>
    /// <returns>From where to where they go to the client as they are, and how many bytes the message behind them needs.</returns>
    private (int Run, int Used, int Needed) Take(ReadOnlySpan<byte> bytes, ClientSession? client)
    {
        var (run, at) = (0, 0);
        while (true)
        {
            if (_passing > 0)
            {
                var piece = (int)Math.Min(_passing, bytes.Length - at);
                at += piece;
                _passing -= piece;
                if (_passingDropped)
                {
                    run = at;
                }

                if (_passing > 0)
                {
                    return (run, at, 0);
                }
            }

            if (bytes.Length - at < MessageReader.HeaderSize)
            {
                return (run, at, 0);
            }

            var type = bytes[at];
            var length = BinaryPrimitives.ReadInt32BigEndian(bytes[(at + 1)..]) + 1L;
            if (length < MessageReader.HeaderSize)
            {
                throw new ProtocolViolationException("a message of the server's has an impossible length");
            }

            var here = (int)Math.Min(length, bytes.Length - at);
            if (here < length && length <= MostSeen && MustBeWhole(type))
            {
                return (run, at, (int)length);
            }

            var answer = Receive(type, bytes.Slice(at + MessageReader.HeaderSize, here - MessageReader.HeaderSize), client);
            if (answer != Answer.Pass)
            {
                client?.Output.Append(bytes[run..at]);
                run = at + here;
                if (answer == Answer.Replaced)
                {
                    client?.Output.Append(_replacement.Written.Span);
                    _replacement.Clear();
                }
            }

            at += here;
            _passing = length - here;
            _passingDropped = answer != Answer.Pass;
            if (client is not null && Conversation.WriteLocalAnswers(_replacement))
            {
                client.Output.Append(bytes[run..at]);
                client.Output.Append(_replacement.Written.Span);
                _replacement.Clear();
                run = at;
            }
        }
    }

    private Answer Receive(byte type, ReadOnlySpan<byte> body, ClientSession? client)
    {
        if (type == BackendMessage.ParameterStatus)
        {
            var reader = new BodyReader(body);
            var name = System.Text.Encoding.UTF8.GetString(reader.CString());
            var value = System.Text.Encoding.UTF8.GetString(reader.CString());
            Reported = Reported.With(name, value);
            if (client is null || Conversation.AnswersInjected)
            {
                return Answer.Drop;
            }

            client.Reported(name, value);
            return Answer.Pass;
        }

        if (type == BackendMessage.ErrorResponse)
        {
            _fatal |= body.IndexOf("FATAL\0"u8) >= 0 || body.IndexOf("PANIC\0"u8) >= 0;
            if (client is null && Conversation.PendingCount == 0)
            {
                throw new ProtocolViolationException(PostgresError.Read(body).Message);
            }
        }

        var answer = Conversation.Receive(type, body, client, _replacement);
        if (Conversation.InjectedFailure is { } failure)
        {
            client?.End(PostgresError.Fatal(failure.Code, failure.Message));
            throw new ProtocolViolationException($"the client's settings could not be applied: {failure.Message}");
        }

        return client is null ? Answer.Drop : answer;
    }

    // Their content matters here; everything else is passed on piece by piece.
    private static bool MustBeWhole(byte type) => type is BackendMessage.ReadyForQuery or BackendMessage.CommandComplete
        or BackendMessage.ErrorResponse or BackendMessage.ParameterStatus or BackendMessage.NoticeResponse;

    private void AppendLocalAnswers(ClientSession client)
    {
        if (Conversation.WriteLocalAnswers(_replacement))
        {
            client.Output.Append(_replacement.Written.Span);
            _replacement.Clear();
        }
    }

    private bool CanUnlink() => _client is { KeepsServer: false } && Conversation.IsIdle && (NotReusable() is null || NotReusable() == NotReset);

    /// <returns>True when the connection can be handed to another client at once.</returns>
    private bool Unlink(ClientSession client)
    {
        Settings = client.Settings;
        _client = null;
        client.Unlinked(this);
        AskForCleanUp(reset: NeedsReset);
        return _requests.Count == 0;
    }

    private void AskForCleanUp(bool reset)
    {
        if (Conversation.TransactionStatus != 'I')
        {
            Ask("ROLLBACK"u8);
        }

        if (reset || Pins != Pins.None)
        {
            Ask("DISCARD ALL"u8);
            Statements.Clear();
            (Pins, NeedsReset, Settings) = (Pins.None, false, SettingsSnapshot.Empty);
        }

        _returningSince = _owner.Time.GetTimestamp();
    }

    private void Ask(ReadOnlySpan<byte> sql)
    {
        Conversation.Ask(new PendingRequest { Kind = RequestKind.Query, Injected = true });
        _requests.Begin(FrontendMessage.Query).CString(sql).End();
    }

    /// <summary>Goes back to the pool if nothing is asked and nothing is left in the session.</summary>
    public ValueTask UnlinkWhenIdleAsync()
    {
        lock (Gate)
        {
            if (_client is { } client)
            {
                if (!CanUnlink())
                {
                    return ValueTask.CompletedTask;
                }

                Unlink(client);
            }
            else if (_returningSince is null)
            {
                return ValueTask.CompletedTask;
            }
        }

        return ReturnAsync(NotReusable() is null);
    }

    // Back to the pool, or first the clean-up; its answers bring the loop here again.
    private async ValueTask ReturnAsync(bool reusable)
    {
        if (!reusable)
        {
            await FlushRequestsAsync(client: null, _closing.Token);
            return;
        }

        lock (Gate)
        {
            if (_returningSince is null)
            {
                return;
            }

            _returningSince = null;
        }

        _owner.Released(this);
    }
}
