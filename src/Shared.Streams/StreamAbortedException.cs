namespace Shared.Streams;

/// <summary>A read or write met an abort: by the peer, by the transport, or by our own <see cref="DuplexStream.Abort"/>.</summary>
public sealed class StreamAbortedException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="reason">Why the stream was aborted.</param>
    /// <param name="byPeer">True when it came from outside, false when our own side called <see cref="DuplexStream.Abort"/>.</param>
    /// <param name="innerException">The transport's own exception, if any.</param>
    public StreamAbortedException(StreamAbort reason, bool byPeer, Exception? innerException = null)
        : base($"The stream was aborted {(byPeer ? "by the peer" : "locally")} ({reason}).", innerException)
    {
        Reason = reason;
        ByPeer = byPeer;
    }

    /// <summary>Why the stream was aborted.</summary>
    public StreamAbort Reason { get; }

    /// <summary>True when the abort came from outside.</summary>
    public bool ByPeer { get; }
}
