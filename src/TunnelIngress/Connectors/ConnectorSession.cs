using System.Collections.Frozen;
using Shared.Streams;
using Shared.Streams.Dialing;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;
using TunnelIngress.Access;

namespace TunnelIngress.Connectors;

/// <summary>The states of a <see cref="ConnectorSession"/>; they only move downwards.</summary>
internal enum SessionState
{
    /// <summary>In rotation: gets new streams.</summary>
    Active,

    /// <summary>Out of rotation: running streams finish, no new ones.</summary>
    Draining,

    /// <summary>Out of rotation: its access was withdrawn, and its control channel is being cut.</summary>
    Withdrawn,

    /// <summary>The control channel is gone, and so is everything that hung on it.</summary>
    Closed,
}

/// <summary>
/// One registered connector replica: its carriers or parked data channels, and those who wait for one. All members may be called concurrently;
/// the lock is held only while a channel changes hands, never while bytes flow.
/// </summary>
internal sealed class ConnectorSession(string id, string tunnel, string connector, string? name, AcceptedToken token, string from, DateTimeOffset since, ControlChannel control)
{
    private readonly Lock _gate = new();
    private readonly Queue<ParkedChannel> _parked = new();
    private readonly List<Multiplexer> _carriers = [];
    private readonly LinkedList<TaskCompletionSource<IServiceChannel>> _waiting = new();
    private readonly Signal _demand = new();
    private volatile FrozenSet<string> _services = FrozenSet<string>.Empty;
    private volatile string[] _misnamed = [];
    private volatile SessionState _state = SessionState.Active;
    private int _load;

    public string Id => id;

    public string Tunnel => tunnel;

    /// <summary>The process's own id for itself, another one after a restart.</summary>
    public string Connector => connector;

    /// <summary>What the replica is called, across restarts; null when it does not say.</summary>
    public string? Name => name;

    /// <summary>The same for the log, where no name can be mistaken for none.</summary>
    public string LoggedName => name ?? "-";

    /// <summary>The client id of the token that registered it.</summary>
    public string TokenId => token.ClientId;

    /// <summary>Which of its secrets was shown.</summary>
    public int SecretVersion => token.SecretVersion;

    /// <summary>Where it is.</summary>
    public string From => from;

    /// <summary>When it registered.</summary>
    public DateTimeOffset Since => since;

    public ControlChannel Control => control;

    /// <summary>The services it has announced.</summary>
    public FrozenSet<string> Services => _services;

    /// <summary>What it has announced that no service can be called.</summary>
    public IReadOnlyList<string> Misnamed => _misnamed;

    /// <summary>Streams that run or are being opened: what balancing goes by.</summary>
    public int Load => Volatile.Read(ref _load);

    public bool IsActive => State == SessionState.Active;

    public SessionState State => _state;

    /// <summary>How many carriers there are now.</summary>
    public int Carriers
    {
        get
        {
            lock (_gate)
            {
                return _carriers.Count;
            }
        }
    }

    /// <summary>How many channels are parked now.</summary>
    public int Parked
    {
        get
        {
            lock (_gate)
            {
                return _parked.Count;
            }
        }
    }

    /// <summary>How many wait for a channel now.</summary>
    public int Waiting
    {
        get
        {
            lock (_gate)
            {
                return _waiting.Count;
            }
        }
    }

    public void Announce(IEnumerable<string> services)
    {
        var names = services.ToLookup(static name => PlainName.FaultOf("service", name) is null);
        _services = names[true].ToFrozenSet(StringComparer.Ordinal);
        _misnamed = [.. names[false]];
    }

    /// <summary>Counts a stream from before its opening; dispose when it has ended or could not be opened.</summary>
    public LoadLease Enter()
    {
        Interlocked.Increment(ref _load);
        return new LoadLease(this);
    }

    /// <summary>A new data channel has arrived: the longest waiter gets it, otherwise it is parked.</summary>
    /// <returns>False when the session takes no channels (any more); the caller closes it.</returns>
    public bool TryPark(ParkedChannel channel)
    {
        lock (_gate)
        {
            if (_state != SessionState.Active || _parked.Count >= TunnelProtocol.MaxParkedChannels)
            {
                return false;
            }

            if (_waiting.First is { } longest)
            {
                _waiting.RemoveFirst();
                longest.Value.SetResult(channel);
                return true;
            }

            _parked.Enqueue(channel);
            return true;
        }
    }

    /// <summary>A new carrier has arrived: everybody who waits gets a place on it.</summary>
    /// <returns>False when the session takes no carriers (any more); the caller closes it.</returns>
    public bool TryJoin(Multiplexer carrier)
    {
        lock (_gate)
        {
            if (_state != SessionState.Active || _carriers.Count >= TunnelProtocol.MaxCarriers)
            {
                return false;
            }

            _carriers.Add(carrier);
            foreach (var waiter in _waiting)
            {
                waiter.SetResult(new CarrierChannel(carrier));
            }

            _waiting.Clear();
            return true;
        }
    }

    /// <summary>A carrier is gone.</summary>
    public void Leave(Multiplexer carrier)
    {
        lock (_gate)
        {
            _carriers.Remove(carrier);
        }
    }

    /// <summary>
    /// A channel's connection is gone: it is parked no longer. One that was taken is its taker's to release, because what it received
    /// before may not have been read yet.
    /// </summary>
    public void Forget(ParkedChannel channel)
    {
        lock (_gate)
        {
            if (!_parked.Contains(channel))
            {
                return;
            }

            var kept = _parked.Where(parked => parked != channel).ToArray();
            _parked.Clear();
            Array.ForEach(kept, _parked.Enqueue);
        }

        channel.Release();
    }

    /// <summary>
    /// A place on the carrier with the fewest streams, or a parked channel, or the next that arrives; waiting for one tells the connector
    /// that more are needed.
    /// </summary>
    /// <exception cref="DialException">The session ended (hop connector, code offline).</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async ValueTask<IServiceChannel> TakeAsync(CancellationToken cancellationToken)
    {
        LinkedListNode<TaskCompletionSource<IServiceChannel>> waiter;
        lock (_gate)
        {
            if (_state != SessionState.Active)
            {
                throw Offline();
            }

            if (_carriers.Where(static carrier => carrier.TakesStreams).MinBy(static carrier => carrier.StreamCount) is { } carrier)
            {
                return new CarrierChannel(carrier);
            }

            if (_parked.TryDequeue(out var parked))
            {
                return parked;
            }

            waiter = _waiting.AddLast(new TaskCompletionSource<IServiceChannel>(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        _demand.Set();
        await using var registration = cancellationToken.Register(() => GiveUp(waiter, cancellationToken));
        return await waiter.Value.Task;
    }

    /// <summary>Waits until somebody waits for a channel.</summary>
    /// <returns>How many do.</returns>
    public async Task<int> WaitForDemandAsync(CancellationToken cancellationToken)
    {
        await _demand.WaitAsync(cancellationToken);
        return Waiting;
    }

    /// <summary>Out of rotation: parked channels and idle carriers are closed, waiters go elsewhere, running streams go on.</summary>
    public void Drain() => MoveTo(SessionState.Draining);

    /// <summary>Out of rotation as with <see cref="Drain"/>, but nobody has said goodbye.</summary>
    public void Withdraw() => MoveTo(SessionState.Withdrawn);

    /// <summary>The control channel is gone. Running streams are the caller's to cut.</summary>
    public void Close() => MoveTo(SessionState.Closed);

    private void MoveTo(SessionState state)
    {
        ParkedChannel[] parked;
        Multiplexer[] carriers;
        TaskCompletionSource<IServiceChannel>[] waiting;
        lock (_gate)
        {
            if (state <= _state)
            {
                return;
            }

            _state = state;
            (parked, carriers, waiting) = ([.. _parked], [.. _carriers], [.. _waiting]);
            _parked.Clear();
            _waiting.Clear();
        }

        foreach (var channel in parked)
        {
            channel.Release();
        }

        foreach (var carrier in carriers)
        {
            if (state == SessionState.Closed)
            {
                carrier.Abort(new StreamAbort(AbortCode.ConnectionLost, "the connector's session ended"));
            }
            else
            {
                carrier.Drain();
            }
        }

        foreach (var waiter in waiting)
        {
            waiter.SetException(Offline());
        }
    }

    // Whoever takes a waiter off the list is the one who answers it.
    private void GiveUp(LinkedListNode<TaskCompletionSource<IServiceChannel>> waiter, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (waiter.List is null)
            {
                return;
            }

            _waiting.Remove(waiter);
        }

        waiter.Value.SetCanceled(cancellationToken);
    }

    private static DialException Offline() => new(Hop.Connector, "offline", "The connector went away.");

    /// <summary>A stream's share of <see cref="Load"/>.</summary>
    internal sealed class LoadLease(ConnectorSession session) : IDisposable
    {
        private int _released;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _released, 1) == 0)
            {
                Interlocked.Decrement(ref session._load);
            }
        }
    }
}
