namespace Shared.Pooling.Postgres.Sessions;

/// <summary>What a client is doing.</summary>
internal enum ClientState
{
    /// <summary>Between transactions.</summary>
    Idle,

    /// <summary>Waiting for a server connection.</summary>
    Waiting,

    /// <summary>Waiting for the server's answer.</summary>
    Active,

    /// <summary>In a transaction, with nothing asked.</summary>
    IdleInTransaction,

    /// <summary>On a connection of its own that nobody looks into.</summary>
    Replicating,
}

/// <summary>What a client is doing and since when. Written by its session; read by anyone, for timeouts and the console.</summary>
/// <param name="time">The clock.</param>
internal sealed class ClientActivity(TimeProvider time)
{
    private readonly long _connectedAt = time.GetTimestamp();
    private long _since = time.GetTimestamp();
    private long _requests;
    private long _transactions;
    private int _overdue;

    /// <summary>What it is doing.</summary>
    public ClientState State { get; private set; }

    /// <summary>For how long.</summary>
    public TimeSpan Elapsed => time.GetElapsedTime(Volatile.Read(ref _since));

    /// <summary>How many requests it has sent.</summary>
    public long Requests => Volatile.Read(ref _requests);

    /// <summary>How many transactions it has finished.</summary>
    public long Transactions => Volatile.Read(ref _transactions);

    /// <summary>When it connected, for people.</summary>
    public DateTimeOffset Connected { get; } = time.GetUtcNow();

    /// <summary>How long it has been connected, whatever became of the system's clock.</summary>
    public TimeSpan Age => time.GetElapsedTime(_connectedAt);

    public void Waiting() => Enter(ClientState.Waiting);

    public void Replicating() => Enter(ClientState.Replicating);

    public void Linked() => Enter(ClientState.Active);

    public void Asked()
    {
        _requests++;
        if (State != ClientState.Active)
        {
            Enter(ClientState.Active);
        }
    }

    public void Answered(byte transactionStatus)
    {
        if (transactionStatus == 'I')
        {
            _transactions++;
        }

        Enter(transactionStatus == 'I' ? ClientState.Idle : ClientState.IdleInTransaction);
    }

    public void Idle()
    {
        if (State != ClientState.Idle)
        {
            Enter(ClientState.Idle);
        }
    }

    /// <returns>True once for each time it is active.</returns>
    public bool TryOverdue() => Interlocked.Exchange(ref _overdue, 1) == 0;

    private void Enter(ClientState state)
    {
        Volatile.Write(ref _overdue, 0);
        Volatile.Write(ref _since, time.GetTimestamp());
        State = state;
    }
}
