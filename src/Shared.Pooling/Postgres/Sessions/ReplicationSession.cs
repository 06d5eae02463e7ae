using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Protocol;
using Shared.Streams;
using Shared.Streams.Relaying;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// A client that replicates: it has a connection to the origin of its own, opened for it and closed behind it, and every byte passes as
/// it is. Only in pools in session mode. Source: PostgreSQL documentation, "Streaming Replication Protocol".
/// </summary>
/// <param name="lease">Where it belongs; taken over.</param>
/// <param name="identity">Who it is.</param>
/// <param name="startup">What it asks for, and its incoming side.</param>
internal sealed class ReplicationSession(PoolSet.Lease lease, ClientIdentity identity, ClientStartup startup) : IPoolClient
{
    /// <summary>One that has said CopyDone may take its time to hear the other's.</summary>
    private static readonly RelayOptions Limits = new() { HalfCloseTimeout = TimeSpan.FromMinutes(15) };

    private OriginConnection? _origin;
    private (DuplexStream Client, DuplexStream Origin) _streams;
    private readonly Lock _gate = new();
    private Task _cancel = Task.CompletedTask;
    private int _ended;

    /// <inheritdoc/>
    public PostgresPool Pool => lease.Pool;

    /// <inheritdoc/>
    public ClientIdentity Identity => identity;

    /// <inheritdoc/>
    public ClientActivity Activity { get; } = new(lease.Pool.Time);

    /// <inheritdoc/>
    public int? ServerProcessId => _origin?.ProcessId;

    /// <inheritdoc/>
    public string EndReason { get; private set; } = "the replication ended";

    /// <inheritdoc/>
    public async Task WelcomeAsync(ClientAcceptance acceptance, byte[] cancelKey, CancellationToken cancellationToken)
    {
        if (Pool.Policy.RefusalOfReplication(Pool.Name) is { } refusal)
        {
            throw new HandshakeRefusedException(refusal);
        }

        var origin = await Pool.OpenReplicationAsync([.. startup.Settings, new("replication", startup.Replication!)], cancellationToken);
        try
        {
            await SayWelcomeAsync(origin, acceptance, cancelKey, cancellationToken);
        }
        catch
        {
            await Pool.CloseReplicationAsync(origin);
            throw;
        }

        Activity.Replicating();
        _streams = (startup.Reader.TakeStream(), origin.Reader.TakeStream());
        _origin = origin;
    }

    /// <inheritdoc/>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var cut = cancellationToken.UnsafeRegister(static state => ((ReplicationSession)state!).End(
            PostgresError.Fatal(SqlState.AdminShutdown, "the pooler is shutting down")), this);
        try
        {
            var result = await Relay.RunAsync(_streams.Client, _streams.Origin, Limits, Pool.Time);
            if (Interlocked.Exchange(ref _ended, 1) == 0)
            {
                EndReason = result.Reason?.ToString() ?? EndReason;
            }

            if (result.End != RelayEnd.Completed)
            {
                // What still runs would go on for a client that nobody serves any more.
                await CancelAsync(CancellationToken.None);
            }
        }
        finally
        {
            await Pool.CloseReplicationAsync(_origin!);
        }
    }

    /// <inheritdoc/>
    public Task CancelAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_origin is { } origin && _cancel.IsCompleted)
            {
                _cancel = Pool.CancelAsync(origin, static () => true);
            }

            return _cancel.WaitAsync(cancellationToken);
        }
    }

    /// <inheritdoc/>
    public void EnforceTimeouts()
    {
        // What is asked is not looked into, and silence is nothing unusual: the server has a timeout of its own, wal_sender_timeout.
    }

    /// <inheritdoc/>
    public void End(PostgresError? farewell)
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
        {
            EndReason = farewell?.Message ?? EndReason;
            _ = CutAsync();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => lease.Dispose();

    // Nobody knows whether a message is under way, so nothing that the client were told would be understood as what it is.
    private async Task CutAsync()
    {
        // Whoever ends it may hold a lock that its continuations need.
        await Task.Yield();
        var reason = new StreamAbort(AbortCode.Dropped, EndReason);
        _streams.Client.Abort(reason);
        _streams.Origin.Abort(reason);
    }

    private async Task SayWelcomeAsync(OriginConnection origin, ClientAcceptance acceptance, byte[] cancelKey, CancellationToken cancellationToken)
    {
        using var writer = new MessageWriter();
        writer.Bytes(acceptance.Take().Span);
        foreach (var (name, value) in origin.Parameters)
        {
            writer.Begin(BackendMessage.ParameterStatus).CString(name).CString(value).End();
        }

        writer.Begin(BackendMessage.BackendKeyData).Int32(identity.Id).Bytes(cancelKey).End();
        writer.Begin(BackendMessage.ReadyForQuery).Byte((byte)'I').End();
        await startup.Reader.Stream.WriteAsync(writer.Written, cancellationToken);
    }
}
