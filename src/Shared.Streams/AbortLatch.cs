namespace Shared.Streams;

/// <summary>How a stream was aborted; the first abort stays. All members may be called concurrently.</summary>
internal sealed class AbortLatch
{
    private StreamAbortedException? _abort;

    public bool IsSet => Volatile.Read(ref _abort) is not null;

    /// <summary>Sets the abort; false when there is one already.</summary>
    public bool TrySet(StreamAbort reason, bool byPeer, Exception? cause = null) =>
        Interlocked.CompareExchange(ref _abort, new StreamAbortedException(reason, byPeer, cause), null) is null;

    public void ThrowIfSet()
    {
        if (IsSet)
        {
            throw ToException();
        }
    }

    /// <summary>What an operation throws. A fresh exception each time: one instance thrown from two threads would mix their stack traces.</summary>
    public StreamAbortedException ToException()
    {
        var abort = Volatile.Read(ref _abort) ?? throw new InvalidOperationException("The stream is not aborted.");
        return new StreamAbortedException(abort.Reason, abort.ByPeer, abort.InnerException);
    }
}
