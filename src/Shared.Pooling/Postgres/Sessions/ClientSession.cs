using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Sql;
using Shared.Pooling.Postgres.Statements;
using Shared.Streams;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// A client from its welcome to its end: one loop that reads requests, links the client to a server connection when one is needed and
/// passes the requests on. Answers come back through the server connection's own loop.
/// Previous stop of a request: the client's connection. Next stop: <see cref="RequestForwarder"/>.
/// </summary>
internal sealed partial class ClientSession : IConversationClient, IPoolClient
{
    private readonly MessageReader _reader;
    private readonly SessionParameters _parameters;
    private readonly RequestForwarder _forwarder;
    private readonly CancellationTokenSource _ending = new();
    private readonly Lock _waitGate = new();
    private readonly IDisposable _lease;
    private CancellationTokenSource? _wait;
    private bool _isWaiting;
    private bool _disposed;
    private ServerSession? _server;
    private ServerSession? _lastServer;
    private ReportedParameters _reported = ReportedParameters.None;
    private TaskCompletionSource? _preparing;
    private int _ended;
    private bool _cutOff;
    private PostgresError? _farewell;

    /// <summary>Creates a session for a client that is logged in.</summary>
    /// <param name="lease">Where its server connections come from; taken over.</param>
    /// <param name="identity">Who it is.</param>
    /// <param name="reader">Its incoming side, behind the login.</param>
    /// <param name="startup">The settings it asked for at login.</param>
    public ClientSession(PoolSet.Lease lease, ClientIdentity identity, MessageReader reader, SettingsSnapshot startup)
    {
        (_lease, Pool, Identity, _reader, _parameters) = (lease, lease.Pool, identity, reader, new SessionParameters(startup));
        Output = new ClientOutput(reader.Stream);
        Activity = new ClientActivity(Pool.Time);
        _forwarder = new RequestForwarder(this, reader);
    }

    /// <inheritdoc/>
    public ClientIdentity Identity { get; }

    /// <inheritdoc/>
    public PostgresPool Pool { get; }

    /// <summary>Its outgoing side.</summary>
    public ClientOutput Output { get; }

    /// <inheritdoc/>
    public ClientStatements Statements { get; } = new();

    /// <inheritdoc/>
    public ClientActivity Activity { get; }

    /// <summary>The settings its statements run under.</summary>
    public SettingsSnapshot Settings => _parameters.OnServer;

    /// <summary>
    /// What its statements' texts mean, as a key. While a setting is on its way, or holds for the transaction only, nobody else shares it.
    /// </summary>
    public string Meaning => _uncertainMeaning ?? _parameters.Wanted.Meaning;

    /// <summary>How its literals are read.</summary>
    public bool StandardConformingStrings => _reported[SqlScanner.StandardConformingStrings] != "off";

    /// <summary>What its pool refuses.</summary>
    public ClientPolicy Policy => Pool.Policy;

    /// <inheritdoc/>
    public int? ServerProcessId => Server?.ProcessId;

    /// <inheritdoc/>
    public string EndReason { get; private set; } = "the client left";

    /// <summary>True when it keeps its server connection between transactions.</summary>
    public bool KeepsServer => Pool.Options.Mode == PoolMode.Session;

    /// <summary>The server connection it is linked to, or null. May be unlinked at any moment: check under its gate.</summary>
    public ServerSession? Server => Volatile.Read(ref _server);

    /// <inheritdoc/>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var cut = cancellationToken.UnsafeRegister(static state => ((ClientSession)state!).End(
            PostgresError.Fatal(SqlState.AdminShutdown, "the pooler is shutting down")), this);
        try
        {
            await _forwarder.RunAsync(_ending.Token);
        }
        catch (Exception exception) when (exception is StreamAbortedException or EndOfStreamException or OperationCanceledException)
        {
            // It left, or was told to; either way what it holds is given back below.
        }
        catch (ProtocolViolationException exception)
        {
            End(PostgresError.Fatal(SqlState.ProtocolViolation, exception.Message));
        }
        finally
        {
            await LeaveAsync();
        }
    }

    /// <inheritdoc/>
    public void End(PostgresError? farewell)
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
        {
            _farewell = farewell;
            EndReason = farewell?.Message ?? EndReason;

            // Whoever ends it may hold a lock that its continuations need.
            lock (_waitGate)
            {
                if (!_disposed)
                {
                    _ = _ending.CancelAsync();
                }
            }

            _preparing?.TrySetCanceled();
        }
    }

    /// <summary>Gives back what <see cref="RunAsync"/> has left. Call once.</summary>
    public void Dispose()
    {
        lock (_waitGate)
        {
            _disposed = true;
            _wait?.Dispose();
            _ending.Dispose();
        }

        _lease.Dispose();
    }

    /// <inheritdoc/>
    public async Task WelcomeAsync(ClientAcceptance acceptance, byte[] cancelKey, CancellationToken cancellationToken)
    {
        try
        {
            await SayWelcomeAsync(acceptance, cancelKey, cancellationToken);
        }
        catch
        {
            await LeaveServerAsync();
            throw;
        }
    }

    private async Task SayWelcomeAsync(ClientAcceptance acceptance, byte[] cancelKey, CancellationToken cancellationToken)
    {
        if (Policy.Refusal(_parameters.Wanted.Pin) is { } refusal)
        {
            throw new HandshakeRefusedException(refusal with { Severity = "FATAL" });
        }

        Output.Append(acceptance.Take().Span);
        var settings = _parameters.Wanted.Key;
        if (Pool.FindWelcome(settings) is { } known)
        {
            SayReported(known);
        }
        else
        {
            // That takes its time, and may fail.
            await Output.FlushAsync(cancellationToken);
            await LearnAsync(cancellationToken);
            Pool.RememberWelcome(settings, _reported);
        }

        Output.Append((Identity.Id, cancelKey), static (writer, key) =>
        {
            writer.Begin(BackendMessage.BackendKeyData).Int32(key.Id).Bytes(key.cancelKey).End();
            writer.Begin(BackendMessage.ReadyForQuery).Byte((byte)'I').End();
        });
        await Output.FlushAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public void EnforceTimeouts() => ClientTimeouts.Enforce(this, Pool.Options);

    /// <inheritdoc/>
    public Task CancelAsync(CancellationToken cancellationToken)
    {
        // A client that waits for a connection is answered here.
        lock (_waitGate)
        {
            if (_isWaiting)
            {
                _wait!.Cancel();
                return Task.CompletedTask;
            }
        }

        return Server is { } server ? server.CancelAsync(cancellationToken) : Task.CompletedTask;
    }

    /// <summary>Cancels a query that runs for too long, once.</summary>
    public void CancelOverdue()
    {
        if (Activity.TryOverdue())
        {
            _ = CancelInBackgroundAsync();
        }
    }

    private async Task CancelInBackgroundAsync()
    {
        try
        {
            using var patience = new CancellationTokenSource(Pool.Options.CancelTimeout, Pool.Time);
            await CancelAsync(patience.Token);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            // The server connection is gone, and its client is told by whoever noticed.
        }
    }

    /// <summary>Writes what was appended without anybody waiting for it; a client that does not read is noticed at its next answer.</summary>
    public void FlushInBackground()
    {
        var flush = Output.FlushAsync(_ending.Token);
        if (!flush.IsCompletedSuccessfully)
        {
            _ = FinishAsync(flush);
        }

        async Task FinishAsync(ValueTask pending)
        {
            try
            {
                await pending;
            }
            catch (Exception exception) when (exception is IOException or OperationCanceledException)
            {
                OutputLost();
            }
        }
    }

    /// <summary>The server connection has ended, or is left, in the middle of a message to the client.</summary>
    public void AnswerCutOff() => Volatile.Write(ref _cutOff, true);

    /// <summary>The client does not take answers any more.</summary>
    public void OutputLost() => End(farewell: null);

    /// <summary>Everything the client has set and prepared is forgotten, as DISCARD ALL does it.</summary>
    public void Discard()
    {
        Statements.Clear();
        _parameters.Discard();
    }

    /// <inheritdoc/>
    public void Reported(string name, string value)
    {
        _reported = Pool.Share(_reported.With(name, value));
    }

    private void SayReported(ReportedParameters now)
    {
        if (!ReferenceEquals(now, _reported))
        {
            Output.Append((now, _reported), static (writer, both) => both.now.WriteDifference(both._reported, writer));
            _reported = now;
        }
    }

    private async Task LeaveAsync()
    {
        Interlocked.Exchange(ref _ended, 1);
        try
        {
            await LeaveServerAsync();
        }
        finally
        {
            await SayFarewellAsync();
            Output.Dispose();
            _reader.Dispose();
            await _reader.Stream.DisposeAsync();
        }
    }

    private async Task LeaveServerAsync()
    {
        if (Server is not { } server)
        {
            return;
        }

        using var patience = new CancellationTokenSource(Pool.Options.CancelTimeout, Pool.Time);
        try
        {
            await server.LeaveAsync(this, reset: KeepsServer, patience.Token);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            server.Break($"it could not be cleaned up: {exception.Message}");
        }
    }

    private async Task SayFarewellAsync()
    {
        if (Volatile.Read(ref _cutOff))
        {
            _reader.Stream.Abort(new StreamAbort(AbortCode.Reset, "the connection to the database was lost in the middle of a message"));
            return;
        }

        using var patience = new CancellationTokenSource(Pool.Options.FarewellTimeout, Pool.Time);
        try
        {
            if (_farewell is { } farewell)
            {
                Output.Append(farewell, static (writer, error) => error.Write(writer));
            }

            await Output.DrainAsync(patience.Token);
            await _reader.Stream.CompleteWritesAsync(patience.Token);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            _reader.Stream.Abort(new StreamAbort(AbortCode.Reset, "the client takes no answer"));
        }
    }
}
