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
internal sealed partial class ServerSession : IPooledConnection
{
    /// <summary>From this many bytes on, answers are written to the client from where they were read instead of being collected.</summary>
    private const int DirectWrite = 4 * 1024;

    /// <summary>A message that has to be seen whole may have this many bytes; a larger one is passed on unseen.</summary>
    private const int MostSeen = 64 * 1024;

    private const string NotReset = "it was not reset";

    private readonly OriginConnection _origin;
    private readonly IServerOwner _owner;
    private readonly bool _isMisreadAtLogin;
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
    private int _broken;
    private long? _returningSince;

    public ServerSession(OriginConnection origin, IServerOwner owner, int mostStatements)
    {
        (_origin, _owner) = (origin, owner);
        Statements = new ServerStatements(mostStatements);
        Conversation = new Conversation(Statements);
        Reported = owner.Share(new ReportedParameters(origin.Parameters));
        _isMisreadAtLogin = MayMisread = ReportedSyntax.MayMisread(Reported);
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

    /// <summary>True when the scanner may misread statements, now or after a RESET.</summary>
    public bool MayMisread { get; private set; }

    /// <summary>The process id of the server's side.</summary>
    public int ProcessId => _origin.ProcessId;

    /// <summary>Who is linked, or null.</summary>
    public ClientSession? Client => Volatile.Read(ref _client);

    /// <inheritdoc/>
    public bool IsBroken => Volatile.Read(ref _broken) != 0;

    /// <inheritdoc/>
    public bool IsLeaving => _origin.Reader.Stream.IsLeaving;

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
        : _cancelOnItsWay ? "a cancel request is on its way"
        : Pins != Pins.None ? "a client has left something in the session"
        : _cancelLost ? CancelLost
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

    /// <summary>Links a client. Under the gate; the connection must be free.</summary>
    public void Link(ClientSession client)
    {
        if (_client is not null || Conversation.PendingCount > 0)
        {
            throw new InvalidOperationException("the server connection is in use");
        }

        _client = client;
        NeedsReset |= MayMisread;
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
        if (Volatile.Read(ref _probing) is { } probing)
        {
            await probing;
        }

        lock (Gate)
        {
            if (_client != client || (_requests.Count == 0 && bytes.IsEmpty))
            {
                return;
            }

            (_requests, _writing) = (_writing, _requests);
            _flushing = true;
        }

        try
        {
            if (_writing.Count > 0)
            {
                await _origin.Stream.WriteAsync(_writing.Written, cancellationToken);
            }

            if (!bytes.IsEmpty)
            {
                await _origin.Stream.WriteAsync(bytes, cancellationToken);
            }
        }
        catch (StreamAbortedException exception)
        {
            // The loop that reads may notice it later; by then the client would have left untold.
            Break(ServerLoss.From(exception));
            throw;
        }

        lock (Gate)
        {
            _writing.Clear();
            _flushing = false;
        }

        await UnlinkWhenIdleAsync();
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
            TellWhetherCutOff(client);
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

    /// <summary>Ends the connection at once, for a reason of the pooler's own.</summary>
    public void Break(string reason) => Break(new ServerLoss(reason));

    private void Break(ServerLoss loss)
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
            TellWhetherCutOff(client);
        }

        _closing.Cancel();
        _origin.Stream.Abort(new StreamAbort(AbortCode.Dropped, "the pooler let go of it"));
        _owner.Lost(this, loss.Reason);
        client?.ServerLost(this, loss, _fatal);
    }

    /// <summary>Closes a connection that does not come back from being cleaned up in time.</summary>
    public void BreakWhenStuck(TimeSpan patience)
    {
        if (_returningSince is { } since && _owner.Time.GetElapsedTime(since) > patience)
        {
            Break("it could not be cleaned up in time");
        }
    }

    // Half a message has gone to the client already, so nothing that it is told now would be understood as what it is.
    private void TellWhetherCutOff(ClientSession? client)
    {
        if (_passing > 0 && !_passingDropped)
        {
            client?.AnswerCutOff();
        }
    }

    private bool CanUnlink() => _client is { KeepsServer: false } && Conversation.IsIdle && NotReusable() is null or NotReset or CancelLost;

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
                    ProbeWhenIdle(client);
                    return ValueTask.CompletedTask;
                }

                Unlink(client);
            }
            else if (_returningSince is null || _broken != 0)
            {
                return ValueTask.CompletedTask;
            }
        }

        return ReturnAsync(NotReusable() is null);
    }

    // Back to the pool, or first the clean-up; its answers bring the loop here again.
    private async ValueTask ReturnAsync(bool reusable)
    {
        if (_cancelLost)
        {
            Break(CancelLost);
            return;
        }

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
