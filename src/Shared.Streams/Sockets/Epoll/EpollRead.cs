using System.Threading.Tasks.Sources;

namespace Shared.Streams.Sockets.Epoll;

/// <summary>The read that waits.</summary>
internal sealed class EpollRead(EpollSocketStream stream) : EpollWait<int>(stream), IValueTaskSource<int>
{
    private Memory<byte> _buffer;

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        _buffer = buffer;
        return new(this, Begin(cancellationToken));
    }

    public int GetResult(short token) => ResultOf(token);

    protected override bool TryGo(out int result) => Stream.TryReceiveHeard(_buffer.Span, out result);

    protected override void Watch() => Stream.Watch(writes: false);

    protected override void Clear() => _buffer = default;
}
