namespace Shared.Pooling.Pools;

// Who waits, in the order in which they came. All under the lock, unless it says otherwise.
internal sealed partial class ConnectionPool<TConnection>
{
    private PoolWaiter<TConnection> BeginWait()
    {
        var waiter = _spareWaiters.TryPop(out var spare) ? spare : new PoolWaiter<TConnection>(_recycle);
        waiter.Begin(_time.GetTimestamp());
        _waiters.Enqueue(waiter);
        if (!_waitTimerRuns)
        {
            StartWaitTimer(_options.WaitTimeout);
        }

        return waiter;
    }

    // One timer for all: it rings for whoever has waited longest, and nobody touches it while others come and go.
    private void StartWaitTimer(TimeSpan due)
    {
        _waitTimerRuns = true;
        _waitTimer.Change(due < TimeSpan.FromMilliseconds(1) ? TimeSpan.FromMilliseconds(1) : due, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The connection goes to whoever has waited longest, or rests.</summary>
    /// <returns>Who gets it: to be served when the lock is given back.</returns>
    private PoolWaiter<TConnection>? ServeOrKeep(PoolEntry<TConnection> entry)
    {
        if (_state == PoolState.Active && TakeWaiter() is { } waiter)
        {
            return waiter;
        }

        entry.IdleSince = _time.GetTimestamp();
        _idle.AddLast(entry.Node);
        return null;
    }

    private PoolWaiter<TConnection>? TakeWaiter()
    {
        while (_waiters.TryDequeue(out var waiter))
        {
            if (!waiter.IsOver)
            {
                EndWait(waiter);
                return waiter;
            }
        }

        return null;
    }

    private void EndWait(PoolWaiter<TConnection> waiter)
    {
        waiter.IsOver = true;
        _waitTotal += _time.GetElapsedTime(waiter.Since);
    }

    private void FailWaiters(Exception reason)
    {
        while (TakeWaiter() is { } waiter)
        {
            waiter.Fail(reason);
        }
    }

    // Waiters that gave up stay in the queue until they are at its head.
    private void DropEndedWaits()
    {
        while (_waiters.TryPeek(out var waiter) && waiter.IsOver)
        {
            _waiters.Dequeue();
        }
    }

    // Not under the lock.
    private void EndOverdueWaits()
    {
        lock (_gate)
        {
            _waitTimerRuns = false;
            DropEndedWaits();
            while (_waiters.TryPeek(out var waiter))
            {
                var left = _options.WaitTimeout - _time.GetElapsedTime(waiter.Since);
                if (left > TimeSpan.Zero)
                {
                    StartWaitTimer(left);
                    return;
                }

                _waiters.Dequeue();
                EndWait(waiter);
                waiter.Fail(TimeoutReason());
                DropEndedWaits();
            }
        }
    }

    private Exception TimeoutReason() => _backoff.LastFailure is { } login && _entries.Count == 0
        ? login
        : new PoolTimeoutException(
            $"no connection to the database became free within {_options.WaitTimeout.TotalSeconds:0.#} s; raise Max, or find what holds the connections");

    // Not under the lock.
    private void Cancel(PoolWaiter<TConnection> waiter, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (waiter.IsOver)
            {
                return;
            }

            EndWait(waiter);
        }

        waiter.Fail(new OperationCanceledException(cancellationToken));
    }

    // Not under the lock.
    private void Recycle(PoolWaiter<TConnection> waiter)
    {
        lock (_gate)
        {
            if (_spareWaiters.Count < MostSpareWaiters)
            {
                _spareWaiters.Push(waiter);
            }
        }
    }
}
