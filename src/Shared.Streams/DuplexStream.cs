namespace Shared.Streams;

/// <summary>
/// One two-way byte stream whose transport nobody above it knows: a socket, a TLS session, a WebSocket or memory.
/// Each transport is adapted once; the relay, TLS and the protocol handlers run unchanged over all of them.
/// </summary>
/// <remarks>
/// <para><b>Concurrency.</b> One read and one write may be outstanding at the same time; <see cref="CompleteWritesAsync"/>
/// counts as a write. <see cref="Abort"/> and <see cref="DisposeAsync"/> may be called by anyone at any time and end
/// whatever is outstanding.</para>
/// <para><b>Endings.</b> Each direction ends on its own: an orderly end follows all data before it, an abort may overtake
/// data that was not read yet. Every adapter proves this in the conformance suite (tests/Shared.Streams.Tests/Conformance).</para>
/// </remarks>
public abstract class DuplexStream : IAsyncDisposable
{
    /// <summary>
    /// True once something that carries the stream is shutting down and waits for it to end: whoever keeps the stream for later should end it
    /// now, and whoever is busy when he is done. Everything else goes on. May be read by anyone at any time.
    /// </summary>
    public virtual bool IsLeaving => false;

    /// <summary>
    /// Reads at least one byte, or returns 0 once the peer has ended its direction; the end is sticky.
    /// With an empty buffer it waits until a byte or the end can be read, and consumes nothing: an idle reader needs no buffer.
    /// A wake-up without data is allowed for an empty buffer only.
    /// </summary>
    /// <param name="buffer">Where the bytes go.</param>
    /// <param name="cancellationToken">Cancelling a pending read may cost the stream: abort or dispose it afterwards.</param>
    /// <exception cref="StreamAbortedException">The stream was aborted, by the peer, by the transport or by <see cref="Abort"/>.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public abstract ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default);

    /// <summary>
    /// Hands all bytes to the transport; completes when the buffer may be reused. A slow peer keeps it pending (back-pressure).
    /// That it completes does not say that the peer got them: a lost peer may be noticed by a later write or read only.
    /// An empty buffer writes nothing.
    /// </summary>
    /// <param name="buffer">The bytes to send.</param>
    /// <param name="cancellationToken">Cancelling a pending write may cost the stream: abort or dispose it afterwards.</param>
    /// <exception cref="StreamAbortedException">The stream was aborted, by the peer, by the transport or by <see cref="Abort"/>.</exception>
    /// <exception cref="InvalidOperationException"><see cref="CompleteWritesAsync"/> was called before.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public abstract ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default);

    /// <summary>
    /// Ends our direction in order: the peer reads the end after all data written before. Reading goes on. A second call does nothing.
    /// </summary>
    /// <param name="cancellationToken">Cancelling may cost the stream: abort or dispose it afterwards.</param>
    /// <exception cref="StreamAbortedException">The stream was aborted.</exception>
    public abstract ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Ends both directions at once, without waiting; the peer sees an abort, never an orderly end. The first reason wins,
    /// and does nothing on a stream that is already disposed.
    /// </summary>
    /// <param name="reason">Told to the peer where the transport can carry it.</param>
    public abstract void Abort(StreamAbort reason);

    /// <summary>
    /// Tells the peer that this stream is leaving, where the transport can carry that; otherwise does nothing. May be called by anyone at any time.
    /// </summary>
    public virtual void TellLeaving()
    {
    }

    /// <summary>
    /// Frees the transport. After both directions have ended it is an orderly close; after only <see cref="CompleteWritesAsync"/>
    /// what was written still reaches the peer but nothing more is read; otherwise it aborts.
    /// Waits at most a few seconds: for the peer to take the last bytes, or the reason.
    /// Whatever is outstanding or comes later then throws <see cref="StreamAbortedException"/> with <see cref="AbortCode.Dropped"/>,
    /// or the reason of an earlier abort; a direction that had ended stays ended.
    /// </summary>
    public abstract ValueTask DisposeAsync();
}
