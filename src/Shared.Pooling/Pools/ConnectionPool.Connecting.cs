namespace Shared.Pooling.Pools;

// How connections are opened and closed.
internal sealed partial class ConnectionPool<TConnection>
{
    private void Forget(PoolEntry<TConnection> entry)
    {
        if (!_entries.Remove(entry.Connection))
        {
            return;
        }

        if (entry.Node.List is not null)
        {
            _idle.Remove(entry.Node);
        }

        var closing = CloseAsync(entry.Connection);
        _closing.Add(closing);
        _ = closing.ContinueWith(
            static (task, pool) =>
            {
                var self = (ConnectionPool<TConnection>)pool!;
                lock (self._gate)
                {
                    self._closing.Remove(task);
                }
            },
            this,
            CancellationToken.None,
            TaskContinuationOptions.RunContinuationsAsynchronously,
            TaskScheduler.Default);
    }

    private async Task CloseAsync(TConnection connection)
    {
        // Not under the lock.
        await Task.Yield();
        try
        {
            await connection.DisposeAsync();
        }
        finally
        {
            _budget?.Give();
        }
    }

    private bool TryEvictIdle()
    {
        lock (_gate)
        {
            return _entries.Count > Options.Min && _idle.First is { } oldest && ForgetFirst(oldest.Value);
        }

        bool ForgetFirst(PoolEntry<TConnection> entry)
        {
            Forget(entry);
            return true;
        }
    }

    // What can be said without asking the clock; most requests need no more.
    private bool MayNeedMore() =>
        (_waiters.Count > _connecting || _entries.Count + _connecting < _options.Min) && _entries.Count + _connecting < _options.Max + _options.Reserve;

    private void ConnectWhereNeeded()
    {
        while (true)
        {
            lock (_gate)
            {
                DropEndedWaits();
                var wanted = Math.Max(_waiters.Count, Options.Min - _entries.Count);
                var reserve = _waiters.TryPeek(out var first) && _time.GetElapsedTime(first.Since) >= Options.ReserveAfter ? Options.Reserve : 0;
                if (_state != PoolState.Active || _connecting >= wanted || _entries.Count + _connecting >= Options.Max + reserve || !_backoff.MayTry(_connecting))
                {
                    return;
                }

                _connecting++;
            }

            if (_budget is not null && !_budget.TryTake())
            {
                lock (_gate)
                {
                    _connecting--;
                }

                return;
            }

            _ = ConnectAsync();
        }
    }

    private async Task ConnectAsync()
    {
        await Task.Yield();
        TConnection? connection = null;

        // Whoever asks for new connections meanwhile does not mean this one.
        var generation = Volatile.Read(ref _generation);
        try
        {
            connection = await _connect(_stopping.Token);
            _backoff.Succeeded();
        }
        catch (Exception exception)
        {
            // Whatever it was: the place in the pool and in the budget is free again.
            _backoff.Failed(exception);
        }

        var surplus = false;
        PoolWaiter<TConnection>? served = null;
        lock (_gate)
        {
            _connecting--;
            if (connection is not null)
            {
                surplus = _state == PoolState.Closed;
                _opened++;
                if (!surplus)
                {
                    served = Add(connection, generation);
                }
            }
            else
            {
                _failed++;

                // When nobody can give a connection back, waiting on would only delay the same answer.
                if (_entries.Count == 0 && _backoff.LastFailure is { } failure)
                {
                    FailWaiters(failure);
                }
            }

            TellWhenAllReturned();
        }

        if (surplus)
        {
            await CloseAsync(connection!);
        }
        else if (connection is null)
        {
            _budget?.Give();
        }

        ConnectWhereNeeded();
        served?.Serve(connection!);
    }

    /// <returns>Who gets it, if anybody waits.</returns>
    private PoolWaiter<TConnection>? Add(TConnection connection, int generation)
    {
        var jitter = 0.9 + (0.2 * Random.Shared.NextDouble());
        var entry = new PoolEntry<TConnection>(connection, _time.GetTimestamp(), Options.Lifetime * jitter, generation);
        _entries.Add(connection, entry);
        if (connection.IsBroken || IsOutdated(entry))
        {
            Forget(entry);
            return null;
        }

        return ServeOrKeep(entry);
    }

    private async Task MaintainAsync()
    {
        await Task.Yield();
        ConnectWhereNeeded();
        using var timer = new PeriodicTimer(MaintenanceInterval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stopping.Token))
            {
                lock (_gate)
                {
                    CloseIdle(IsOutdated, keep: 0);
                    CloseIdle(entry => _time.GetElapsedTime(entry.IdleSince) > Options.IdleTimeout, keep: Options.Min);
                }

                ConnectWhereNeeded();
            }
        }
        catch (OperationCanceledException)
        {
            // The pool closes.
        }
    }
}
