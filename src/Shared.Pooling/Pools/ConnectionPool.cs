namespace Shared.Pooling.Pools;

/// <summary>
/// Connections that are used by one after the other. Who comes first is served first; a connection that comes back goes to whoever has
/// waited longest, never past him to the one who gave it back. The most recently used idle connection is given first: its caches are warm.
/// Safe for concurrent use; one short lock, no allocation when a connection is idle or comes back.
/// </summary>
internal sealed partial class ConnectionPool<TConnection> : IAsyncDisposable
    where TConnection : class, IPooledConnection
{
    /// <summary>So many waiters that were served are kept for the next ones.</summary>
    private const int MostSpareWaiters = 1024;

    private static readonly TimeSpan MaintenanceInterval = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly Func<CancellationToken, ValueTask<TConnection>> _connect;
    private readonly TimeProvider _time;
    private readonly ConnectionBudget? _budget;
    private readonly IDisposable? _membership;
    private readonly Dictionary<TConnection, PoolEntry<TConnection>> _entries = [];
    private readonly LinkedList<PoolEntry<TConnection>> _idle = new();
    private readonly Queue<PoolWaiter<TConnection>> _waiters = new();
    private readonly Stack<PoolWaiter<TConnection>> _spareWaiters = new();
    private readonly Action<PoolWaiter<TConnection>> _recycle;
    private readonly Action<object?, CancellationToken> _onCancelled;
    private readonly ITimer _waitTimer;
    private readonly HashSet<Task> _closing = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly LoginBackoff _backoff;
    private readonly Task _maintenance;
    private PoolOptions _options;
    private PoolState _state;
    private bool _waitTimerRuns;
    private int _connecting;
    private int _generation;
    private long _opened;
    private long _failed;
    private TimeSpan _waitTotal;
    private TaskCompletionSource? _allReturned;

    /// <summary>Creates a pool; its first connections are opened at once.</summary>
    /// <param name="connect">Opens a connection, within a time of its own.</param>
    /// <param name="options">Its limits.</param>
    /// <param name="budget">Shared with other pools; null without a common limit.</param>
    /// <param name="time">The clock.</param>
    public ConnectionPool(Func<CancellationToken, ValueTask<TConnection>> connect, PoolOptions options, ConnectionBudget? budget, TimeProvider time)
    {
        (_connect, _options, _budget, _time) = (connect, options, budget, time);
        (_recycle, _onCancelled) = (Recycle, (waiter, token) => Cancel((PoolWaiter<TConnection>)waiter!, token));
        _backoff = new LoginBackoff(time);
        _waitTimer = time.CreateTimer(static pool => ((ConnectionPool<TConnection>)pool!).EndOverdueWaits(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _membership = budget?.Join(TryEvictIdle, ConnectWhereNeeded);
        _maintenance = MaintainAsync();
    }

    /// <summary>Its limits; may be changed at any time.</summary>
    public PoolOptions Options
    {
        get => _options;
        set
        {
            lock (_gate)
            {
                _options = value;
                if (_waitTimerRuns)
                {
                    _waitTimer.Change(TimeSpan.Zero, Timeout.InfiniteTimeSpan);
                }
            }
        }
    }

    /// <summary>How it is now.</summary>
    public PoolCounts Counts
    {
        get
        {
            lock (_gate)
            {
                DropEndedWaits();
                var oldest = _waiters.TryPeek(out var first) ? _time.GetElapsedTime(first.Since) : TimeSpan.Zero;
                return new PoolCounts(
                    _idle.Count, _entries.Count - _idle.Count, _connecting, _waiters.Count, oldest, _waitTotal, _opened, _failed, _state);
            }
        }
    }

    /// <summary>Gets a connection if one is idle and nobody waits for one.</summary>
    /// <param name="preferred">Taken if it is idle; the caller had it before.</param>
    public TConnection? TryAcquire(TConnection? preferred)
    {
        lock (_gate)
        {
            DropEndedWaits();
            return _state == PoolState.Active && _waiters.Count == 0 ? TakeIdle(preferred) : null;
        }
    }

    /// <summary>Gets a connection, at once when one is idle.</summary>
    /// <param name="preferred">Taken if it is idle; the caller had it before.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="PoolTimeoutException">None was free in time, or too many wait.</exception>
    /// <exception cref="PoolClosedException">The pool is closing.</exception>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    public ValueTask<TConnection> AcquireAsync(TConnection? preferred, CancellationToken cancellationToken)
    {
        PoolWaiter<TConnection> waiter;
        bool mayNeedMore;
        lock (_gate)
        {
            DropEndedWaits();
            if (_state == PoolState.Closed)
            {
                return ValueTask.FromException<TConnection>(new PoolClosedException("the pooler is shutting down"));
            }

            if (TryAcquire(preferred) is { } idle)
            {
                return new(idle);
            }

            if (_waiters.Count >= Options.MaxWaiting)
            {
                return ValueTask.FromException<TConnection>(new PoolTimeoutException(
                    $"{_waiters.Count} clients wait for a connection already; raise Max, or find what holds the connections"));
            }

            waiter = BeginWait();
            mayNeedMore = MayNeedMore();
        }

        if (mayNeedMore)
        {
            ConnectWhereNeeded();
        }

        return waiter.WaitAsync(_onCancelled, cancellationToken);
    }

    /// <summary>Gives a connection back. Whoever has waited for it goes on within this call.</summary>
    public void Return(TConnection connection)
    {
        PoolWaiter<TConnection>? served = null;
        bool mayNeedMore;
        lock (_gate)
        {
            if (!_entries.TryGetValue(connection, out var entry))
            {
                return;
            }

            if (connection.IsBroken || connection.NotReusable() is not null || _state == PoolState.Closed || IsOutdated(entry))
            {
                Forget(entry);
            }
            else
            {
                served = ServeOrKeep(entry);
            }

            TellWhenAllReturned();
            mayNeedMore = MayNeedMore();
        }

        if (mayNeedMore)
        {
            ConnectWhereNeeded();
        }

        served?.Serve(connection);
    }

    /// <summary>A connection has ended by itself.</summary>
    public void Remove(TConnection connection)
    {
        lock (_gate)
        {
            if (_entries.TryGetValue(connection, out var entry))
            {
                Forget(entry);
                TellWhenAllReturned();
            }
        }

        ConnectWhereNeeded();
    }

    /// <summary>Lets everybody wait from now on, and waits until all connections have come back.</summary>
    public Task PauseAsync()
    {
        lock (_gate)
        {
            Enter(PoolState.Paused);
            _allReturned ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var all = _allReturned.Task;
            TellWhenAllReturned();
            return all;
        }
    }

    /// <summary>Goes on after a pause.</summary>
    public void Resume()
    {
        var served = new List<(PoolWaiter<TConnection>, TConnection)>();
        lock (_gate)
        {
            Enter(PoolState.Active);
            while (_state == PoolState.Active && TakeIdle(preferred: null) is { } idle)
            {
                if (TakeWaiter() is not { } waiter)
                {
                    _idle.AddLast(_entries[idle].Node);
                    break;
                }

                served.Add((waiter, idle));
            }
        }

        foreach (var (waiter, connection) in served)
        {
            waiter.Serve(connection);
        }

        ConnectWhereNeeded();
    }

    /// <summary>Replaces all connections: the idle ones now, the others when they come back.</summary>
    public void Reconnect()
    {
        lock (_gate)
        {
            _generation++;
            CloseIdle(static _ => true, keep: 0);
        }

        ConnectWhereNeeded();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            Enter(PoolState.Closed);
            _waitTimerRuns = false;
            FailWaiters(new PoolClosedException("the pooler is shutting down"));

            foreach (var entry in _entries.Values.ToArray())
            {
                Forget(entry);
            }
        }

        await _stopping.CancelAsync();
        await _maintenance;
        Task[] closing;
        lock (_gate)
        {
            closing = [.. _closing];
        }

        await Task.WhenAll(closing);
        await _waitTimer.DisposeAsync();
        _membership?.Dispose();
        _stopping.Dispose();
    }

    private void Enter(PoolState state)
    {
        if (_state != PoolState.Closed)
        {
            _state = state;
        }
    }

    private TConnection? TakeIdle(TConnection? preferred)
    {
        var entry = preferred is not null && _entries.TryGetValue(preferred, out var last) && last.Node.List is not null ? last : _idle.Last?.Value;
        while (entry is not null && (entry.Connection.IsBroken || entry.Connection.IsLeaving))
        {
            Forget(entry);
            entry = _idle.Last?.Value;
        }

        if (entry is not null)
        {
            _idle.Remove(entry.Node);
        }

        return entry?.Connection;
    }

    private bool IsOutdated(PoolEntry<TConnection> entry) =>
        entry.Connection.IsLeaving || entry.Generation != _generation || _time.GetElapsedTime(entry.OpenedAt) > entry.Lifetime || _entries.Count > Options.Max + Options.Reserve;

    private void CloseIdle(Func<PoolEntry<TConnection>, bool> which, int keep)
    {
        for (var node = _idle.First; node is not null && _entries.Count > keep;)
        {
            var next = node.Next;
            if (which(node.Value))
            {
                Forget(node.Value);
            }

            node = next;
        }
    }

    private void TellWhenAllReturned()
    {
        if (_state == PoolState.Paused && _allReturned is not null && _entries.Count == _idle.Count && _connecting == 0)
        {
            _allReturned.TrySetResult();
            _allReturned = null;
        }
    }
}
