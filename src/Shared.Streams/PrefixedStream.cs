namespace Shared.Streams;

/// <summary>A stream some of whose bytes were read already: they are read again first.</summary>
/// <param name="prefix">What was read; not changed as long as the stream is in use.</param>
/// <param name="inner">The stream, which this one takes over.</param>
public sealed class PrefixedStream(ReadOnlyMemory<byte> prefix, DuplexStream inner) : DuplexStream
{
    private ReadOnlyMemory<byte> _prefix = prefix;

    /// <inheritdoc/>
    public override bool IsLeaving => inner.IsLeaving;

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_prefix.IsEmpty)
        {
            return inner.ReadAsync(buffer, cancellationToken);
        }

        var count = Math.Min(buffer.Length, _prefix.Length);
        _prefix[..count].CopyTo(buffer);
        _prefix = _prefix[count..];
        return new(count);
    }

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
}
