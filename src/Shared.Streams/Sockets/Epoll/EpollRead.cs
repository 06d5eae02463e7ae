namespace Shared.Streams.Sockets.Epoll;

/// <summary>The read that waits.</summary>
internal sealed class EpollRead(EpollSocketStream stream) : EpollStreamWait<int>(stream)
{
    private Memory<byte> _buffer;

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        _buffer = buffer;
        return new(this, Begin(cancellationToken));
    }

    protected override bool TryGo(out int result) => Stream.TryReceiveHeard(_buffer.Span, out result);

    protected override void Watch() => Stream.Watch(writes: false);

    protected override void Clear() => _buffer = default;
}
