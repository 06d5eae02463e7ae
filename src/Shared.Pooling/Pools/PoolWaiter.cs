using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;

namespace Shared.Pooling.Pools;

/// <summary>
/// Somebody who waits for a connection: gets exactly one connection or one reason. Its pool uses it again for the next who waits, so
/// that waiting allocates nothing.
/// </summary>
internal sealed class PoolWaiter<TConnection>(Action<PoolWaiter<TConnection>> recycle) : IValueTaskSource<TConnection>
{
    private ManualResetValueTaskSourceCore<TConnection> _result;
    private CancellationTokenRegistration _cancellation;
    private bool _isCancellable;

    /// <summary>Since when, as a timestamp of the clock.</summary>
    public long Since { get; private set; }

    /// <summary>True once it is decided what it gets. Under the pool's lock: whoever sets it, and nobody else, says the result.</summary>
    public bool IsOver { get; set; }

    /// <summary>Begins to wait. Under the pool's lock.</summary>
    public void Begin(long since)
    {
        (Since, IsOver) = (since, false);
        _result.Reset();
    }

    /// <summary>The wait. To be awaited once, by one.</summary>
    /// <param name="onCancelled">Called when the token is cancelled, perhaps at once. Not under the pool's lock.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public ValueTask<TConnection> WaitAsync(Action<object?, CancellationToken> onCancelled, CancellationToken cancellationToken)
    {
        _isCancellable = cancellationToken.CanBeCanceled;
        _cancellation = cancellationToken.UnsafeRegister(onCancelled, this);
        return new(this, _result.Version);
    }

    /// <summary>
    /// Serves it. What it waits for goes on here and now, on the thread that gave the connection back: a hop to another thread would
    /// cost more than the rest of the transaction. Not under the pool's lock.
    /// </summary>
    public void Serve(TConnection connection)
    {
        _result.RunContinuationsAsynchronously = !RuntimeHelpers.TryEnsureSufficientExecutionStack();
        _result.SetResult(connection);
    }

    /// <summary>Tells it why it gets none. May be called under the pool's lock.</summary>
    public void Fail(Exception reason)
    {
        _result.RunContinuationsAsynchronously = true;
        _result.SetException(reason);
    }

    /// <inheritdoc/>
    TConnection IValueTaskSource<TConnection>.GetResult(short token)
    {
        try
        {
            return _result.GetResult(token);
        }
        finally
        {
            // A callback that has begun may still look at this waiter; then it is left to the garbage collector.
            if (_cancellation.Unregister() || !_isCancellable)
            {
                recycle(this);
            }
        }
    }

    /// <inheritdoc/>
    ValueTaskSourceStatus IValueTaskSource<TConnection>.GetStatus(short token) => _result.GetStatus(token);

    /// <inheritdoc/>
    void IValueTaskSource<TConnection>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _result.OnCompleted(continuation, state, token, flags);
}
