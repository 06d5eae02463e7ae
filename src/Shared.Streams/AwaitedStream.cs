namespace Shared.Streams;

/// <summary>A stream for whose first bytes somebody else waits already: the first read begins after him.</summary>
/// <param name="waiting">His wait, and what he has taken of the stream; never fails.</param>
/// <param name="inner">The stream, which this one takes over.</param>
internal sealed class AwaitedStream(Task<ReadOnlyMemory<byte>> waiting, DuplexStream inner) : DuplexStream
{
    private DuplexStream? _rest;

    /// <inheritdoc/>
    public override bool IsLeaving => inner.IsLeaving;

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        _rest?.ReadAsync(buffer, cancellationToken) ?? ReadAfterAsync(buffer, cancellationToken);

    /// <inheritdoc/>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => inner.WriteAsync(buffer, cancellationToken);

    /// <inheritdoc/>
    public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default) => inner.CompleteWritesAsync(cancellationToken);

    /// <inheritdoc/>
    public override void Abort(StreamAbort reason) => inner.Abort(reason);

    /// <inheritdoc/>
    public override void TellLeaving() => inner.TellLeaving();

    /// <inheritdoc/>
    public override ValueTask DisposeAsync() => inner.DisposeAsync();

    private async ValueTask<int> ReadAfterAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var taken = await waiting.WaitAsync(cancellationToken);
        _rest = taken.IsEmpty ? inner : new PrefixedStream(taken, inner);
        return await _rest.ReadAsync(buffer, cancellationToken);
    }
}
