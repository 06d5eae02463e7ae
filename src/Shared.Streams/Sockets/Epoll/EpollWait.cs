using System.Net.Sockets;

namespace Shared.Streams.Sockets.Epoll;

/// <summary>
/// A wait for an <see cref="EpollLoop"/>. It ends on the loop's thread, which goes on with whoever waited; an abort or a cancellation ends it in the
/// thread pool.
/// </summary>
/// <typeparam name="T">What comes of it.</typeparam>
internal abstract class EpollWait<T> : SocketWait<T>, IThreadPoolWorkItem
{
    private Readiness _readiness;
    private CancellationToken _cancellationToken;
    private CancellationTokenRegistration _cancellation;
    private long _number;
    private bool _isOutstanding;

    /// <summary>Whether whoever waits has nothing to wait for any more.</summary>
    protected abstract bool IsAborted { get; }

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

    /// <summary>The socket was aborted or disposed of.</summary>
    public void OnAborted() => EndFromOutside(Volatile.Read(ref _number));

    void IThreadPoolWorkItem.Execute() => GiveUp(
        _cancellationToken.IsCancellationRequested && !IsAborted
            ? new OperationCanceledException(_cancellationToken)
            : new ObjectDisposedException(nameof(Socket)));

    /// <summary>Begins a wait.</summary>
    /// <returns>Its token.</returns>
    /// <exception cref="InvalidOperationException">The last one is not over.</exception>
    protected short Begin(CancellationToken cancellationToken)
    {
        if (_isOutstanding)
        {
            throw new InvalidOperationException("Another operation of this direction is outstanding on this stream.");
        }

        _isOutstanding = true;
        var token = Reset();

        // In this order: whoever sees the number sees its token.
        _cancellationToken = cancellationToken;
        Volatile.Write(ref _number, _number + 1);
        _cancellation = cancellationToken.UnsafeRegister(static (wait, token) => ((EpollWait<T>)wait!).OnCancelled(token), this);
        Wait();
        return token;
    }

    /// <summary>Does what was waited for, as far as it goes.</summary>
    /// <returns>False when there is more to wait for.</returns>
    /// <exception cref="SocketException">The socket broke.</exception>
    protected abstract bool TryGo(out T result);

    /// <summary>Lets the loop watch.</summary>
    protected abstract void Watch();

    /// <summary>What the wait fails with.</summary>
    protected virtual Exception Translate(Exception exception) => exception;

    /// <summary>Lets go of the caller's buffer.</summary>
    protected virtual void Clear()
    {
    }

    private void Wait()
    {
        try
        {
            Watch();
        }
        catch (Exception exception)
        {
            GiveUp(exception);
            return;
        }

        var (number, cancellationToken) = (_number, _cancellationToken);
        while (!_readiness.TryAwait(number))
        {
            _readiness.TryTake();
            if (TryFinish())
            {
                return;
            }
        }

        // Who aborted or cancelled before that has not seen anybody wait.
        if (IsAborted || cancellationToken.IsCancellationRequested)
        {
            EndFromOutside(number);
        }
    }

    private void OnCancelled(CancellationToken cancellationToken)
    {
        // It may have been registered for an earlier wait, which has ended meanwhile.
        var number = Volatile.Read(ref _number);
        if (_cancellationToken == cancellationToken)
        {
            EndFromOutside(number);
        }
    }

    private void EndFromOutside(long number)
    {
        if (_readiness.TryEndWait(number))
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
            GiveUp(exception);
            return true;
        }

        End();
        Complete(result);
        return true;
    }

    private void GiveUp(Exception exception)
    {
        End();
        Fail(Translate(exception));
    }

    /// <summary>The next wait may begin as soon as the result is set.</summary>
    private void End()
    {
        _cancellation.Unregister();
        _cancellation = default;
        _cancellationToken = default;
        Clear();
        _isOutstanding = false;
    }
}
