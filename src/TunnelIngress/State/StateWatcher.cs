using System.Threading.Channels;

namespace TunnelIngress.State;

/// <summary>
/// The state in force. Follows the store by polling its revision, so that a change made by any process takes effect here well within 2 s.
/// </summary>
/// <remarks>
/// Fails static: while the store cannot be read, the last snapshot stays in force, and one log line tells of it. All members may be
/// called concurrently.
/// </remarks>
internal sealed class StateWatcher : IAsyncDisposable
{
    public static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(500);

    private static readonly TimeSpan PollTimeout = TimeSpan.FromSeconds(10);

    private readonly IStateStore _store;
    private readonly TimeProvider _time;
    private readonly ILogger<StateWatcher> _logger;
    private readonly CancellationTokenSource _stopping = new();

    // One pending wake-up is enough: the poll it starts is later than every request made before it.
    private readonly Channel<bool> _wakeUps =
        Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    private readonly ITimer _timer;
    private readonly Task _loop;
    private volatile StateSnapshot _current;
    private TaskCompletionSource _nextRefresh = NewRefresh();
    private long _failedPolls;

    private StateWatcher(IStateStore store, StateSnapshot first, TimeProvider time, ILogger<StateWatcher> logger)
    {
        _store = store;
        _current = first;
        _time = time;
        _logger = logger;
        _timer = time.CreateTimer(_ => _wakeUps.Writer.TryWrite(true), null, PollInterval, PollInterval);
        _loop = Task.Run(() => FollowAsync(_stopping.Token));
    }

    /// <summary>
    /// Raised after <see cref="Current"/> was swapped, one change at a time, with the snapshots before and after. Handlers must be quick;
    /// one that throws is logged and disturbs nothing else.
    /// </summary>
    public event Action<StateSnapshot, StateSnapshot>? Changed;

    public StateSnapshot Current => _current;

    /// <summary>Loads the first snapshot, then follows the store, which stays the caller's to dispose.</summary>
    /// <exception cref="StateException">The store cannot be read: at start that is an error, later it is an outage to sit out.</exception>
    public static async Task<StateWatcher> StartAsync(
        IStateStore store, TimeProvider time, ILogger<StateWatcher> logger, CancellationToken cancellationToken)
    {
        var first = await store.LoadAsync(cancellationToken);
        LogLoaded(logger, first);
        return new StateWatcher(store, first, time, logger);
    }

    /// <summary>
    /// Completes when <see cref="Current"/> is at least as new as the store was at the time of this call, and <see cref="Changed"/> has been
    /// raised for it. Asks for a poll at once; concurrent callers share one.
    /// </summary>
    /// <exception cref="StateException">The store could not be read; <see cref="Current"/> stays as it was.</exception>
    public Task RefreshAsync(CancellationToken cancellationToken)
    {
        var refresh = Volatile.Read(ref _nextRefresh).Task;
        _wakeUps.Writer.TryWrite(true);
        return refresh.WaitAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _timer.DisposeAsync();
        await _loop;
        _nextRefresh.TrySetException(new ObjectDisposedException(nameof(StateWatcher)));
        _stopping.Dispose();
    }

    private static TaskCompletionSource NewRefresh()
    {
        var refresh = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        // Mostly nobody waits for it; then its failure must not count as an unobserved exception.
        _ = refresh.Task.ContinueWith(
            static task => task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        return refresh;
    }

    private static void LogLoaded(ILogger logger, StateSnapshot snapshot) =>
        logger.StateLoaded(snapshot.Revision, snapshot.Tunnels.Count, snapshot.Services.Count, snapshot.Tokens.Count);

    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                await _wakeUps.Reader.ReadAsync(cancellationToken);

                // Swapped before the poll starts: whoever takes the new one is answered by a later poll, which its own wake-up starts.
                await PollAsync(Interlocked.Exchange(ref _nextRefresh, NewRefresh()), cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The only way to end it.
        }
    }

    private async Task PollAsync(TaskCompletionSource refresh, CancellationToken cancellationToken)
    {
        try
        {
            using var timeout = new CancellationTokenSource(PollTimeout, _time);
            using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
            if (await _store.GetRevisionAsync(linked.Token) != _current.Revision)
            {
                Swap(await _store.LoadAsync(linked.Token));
            }
        }
        catch (Exception exception)
        {
            refresh.SetException(exception);
            cancellationToken.ThrowIfCancellationRequested();
            if (_failedPolls++ == 0)
            {
                _logger.StateUnavailable(exception);
            }

            return;
        }

        if (_failedPolls > 0)
        {
            _logger.StateAvailable(_failedPolls);
            _failedPolls = 0;
        }

        refresh.SetResult();
    }

    private void Swap(StateSnapshot next)
    {
        var previous = _current;
        _current = next;
        LogLoaded(_logger, next);
        foreach (var handler in Delegate.EnumerateInvocationList(Changed))
        {
            try
            {
                handler(previous, next);
            }
            catch (Exception exception)
            {
                _logger.StateReactionFailed(exception, next.Revision);
            }
        }
    }
}
