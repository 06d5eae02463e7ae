using System.Threading.Tasks.Sources;

namespace Shared.Streams.Sockets.Epoll;

/// <summary>
/// What one direction of a socket waits for. One wait at a time, so one object does for all of them. It ends on the loop's thread, which goes
/// on with whoever waited; an abort or a cancellation ends it in the thread pool.
/// </summary>
/// <typeparam name="T">What comes of it.</typeparam>
internal abstract class EpollWait<T>(EpollSocketStream stream) : IThreadPoolWorkItem
{
    private ManualResetValueTaskSourceCore<T> _result;
    private Readiness _readiness;
    private CancellationToken _cancellationToken;
    private CancellationTokenRegistration _cancellation;

    protected EpollSocketStream Stream { get; } = stream;

    /// <summary>True once for everything that was heard while nobody waited.</summary>
    public bool TryTakeHeard() => _readiness.TryTake();

    /// <summary>The loop has heard that the socket is ready.</summary>
    public void OnReady()
    {
        if (_readiness.Hear() && !TryFinish())
        {
            Wait();
        }
    }

    /// <summary>The stream was aborted or disposed of.</summary>
    public void OnAborted() => EndFromOutside();

    void IThreadPoolWorkItem.Execute() => Fail(
        _cancellationToken.IsCancellationRequested && !Stream.IsEnded
            ? new OperationCanceledException(_cancellationToken)
            : new ObjectDisposedException(nameof(SocketStream)));

    public ValueTaskSourceStatus GetStatus(short token) => _result.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _result.OnCompleted(continuation, state, token, flags);

    protected T ResultOf(short token) => _result.GetResult(token);

    /// <summary>Begins a wait.</summary>
    /// <returns>Its version.</returns>
    protected short Begin(CancellationToken cancellationToken)
    {
        _result.Reset();
        var version = _result.Version;
        _cancellationToken = cancellationToken;
        _cancellation = cancellationToken.UnsafeRegister(static wait => ((EpollWait<T>)wait!).OnCancelled(), this);
        Wait();
        return version;
    }

    /// <summary>Does what was waited for, as far as it goes.</summary>
    /// <returns>False when there is more to wait for.</returns>
    /// <exception cref="System.Net.Sockets.SocketException">The socket broke.</exception>
    protected abstract bool TryGo(out T result);

    /// <summary>Lets the loop watch.</summary>
    protected abstract void Watch();

    private void Wait()
    {
        try
        {
            Watch();
        }
        catch (Exception exception)
        {
            Fail(exception);
            return;
        }

        while (!_readiness.TryAwait())
        {
            _readiness.TryTake();
            if (TryFinish())
            {
                return;
            }
        }

        // Who aborted or cancelled before that has not seen anybody wait.
        if (Stream.IsEnded || _cancellationToken.IsCancellationRequested)
        {
            EndFromOutside();
        }
    }

    private void OnCancelled()
    {
        // It may have been registered for an earlier wait, which has ended.
        if (_cancellationToken.IsCancellationRequested)
        {
            EndFromOutside();
        }
    }

    private void EndFromOutside()
    {
        if (_readiness.TryEndWait())
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    private bool TryFinish()
    {
        T result;
        try
        {
            if (!TryGo(out result))
            {
                return false;
            }
        }
        catch (Exception exception)
        {
            Fail(exception);
            return true;
        }

        // From here on the next wait may begin.
        _cancellation.Unregister();
        _result.SetResult(result);
        return true;
    }

    private void Fail(Exception exception)
    {
        _cancellation.Unregister();
        _result.SetException(Stream.Translate(exception));
    }
}
