namespace TunnelIngress.State;

/// <summary>
/// The state in force in this process: looks for a new revision twice a second, so that a change by the command line takes effect
/// within two seconds. When the store cannot be read the last snapshot stays in force. <see cref="Current"/> may be read by anyone.
/// </summary>
internal sealed class StateWatcher(IStateStore store, TimeProvider time, ILogger<StateWatcher> logger)
{
    /// <summary>When a change is in force at the latest: two looks, and time to read and to cut.</summary>
    public static readonly TimeSpan Latency = TimeSpan.FromSeconds(2);

    /// <summary>A state that was restored is not told line by line.</summary>
    private const int MaxChangesTold = 100;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    private volatile StateSnapshot _current = StateSnapshot.Empty;
    private bool _failing;

    /// <summary>Raised after each swap, on the watching task; handlers must not block.</summary>
    public event Action? Changed;

    public StateSnapshot Current => _current;

    /// <summary>Reads the state for the first time.</summary>
    /// <exception cref="IOException">The store cannot be read.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await store.InitializeAsync(cancellationToken);
        _current = await store.LoadAsync(cancellationToken);
    }

    /// <summary>Watches until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                await RefreshAsync(cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The ingress stops.
        }
    }

    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (await store.GetRevisionAsync(cancellationToken) != _current.Revision)
            {
                var before = _current;
                _current = await store.LoadAsync(cancellationToken);
                logger.StateChanged(_current.Revision, _current.Tunnels.Count, _current.Services.Count, _current.Tokens.Count);
                Tell(StateChanges.Between(before, _current));
                Announce();
            }

            if (_failing)
            {
                _failing = false;
                logger.StateReadableAgain();
            }
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            // Whatever it was, watching must go on: a watcher that stops would keep revoked tokens alive. Told once per outage.
            if (!_failing)
            {
                _failing = true;
                logger.StateUnreadable(exception.Message);
            }
        }
    }

    private void Tell(IReadOnlyList<StateChange> changes)
    {
        foreach (var change in changes.Take(MaxChangesTold))
        {
            logger.Administered(change.Kind, change.Name, change.What);
        }

        if (changes.Count > MaxChangesTold)
        {
            logger.AdministeredMore(changes.Count - MaxChangesTold);
        }
    }

    /// <summary>A handler that fails must keep neither the others nor the next change from happening.</summary>
    private void Announce()
    {
        foreach (var handler in Delegate.EnumerateInvocationList(Changed))
        {
            try
            {
                handler();
            }
            catch (Exception exception)
            {
                logger.StateReactionFailed(exception, _current.Revision);
            }
        }
    }
}
