namespace Shared.Streams.Sockets.Epoll;

/// <summary>The wait of a stream that is disposed of, for its peer to close.</summary>
internal sealed class EpollLinger(EpollSocketStream stream) : EpollWait<bool>
{
    protected override bool IsAborted => stream.IsClosed;

    /// <summary>Completes when there may be something to receive.</summary>
    public ValueTask WaitAsync(CancellationToken cancellationToken) => new(this, Begin(cancellationToken));

    protected override bool TryGo(out bool result) => result = true;

    protected override void Watch() => stream.Watch(writes: false);
}
