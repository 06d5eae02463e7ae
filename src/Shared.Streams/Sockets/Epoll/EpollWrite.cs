namespace Shared.Streams.Sockets.Epoll;

/// <summary>The write of which the system has not taken everything yet.</summary>
internal sealed class EpollWrite(EpollSocketStream stream) : EpollStreamWait<bool>(stream)
{
    private ReadOnlyMemory<byte> _rest;

    /// <summary>Sends all of it; waits for room before the first byte.</summary>
    public ValueTask SendAsync(ReadOnlyMemory<byte> rest, CancellationToken cancellationToken)
    {
        _rest = rest;
        return new(this, Begin(cancellationToken));
    }

    protected override bool TryGo(out bool result)
    {
        while (!_rest.IsEmpty && Stream.SendNow(_rest.Span) is > 0 and var count)
        {
            _rest = _rest[count..];
        }

        return result = _rest.IsEmpty;
    }

    protected override void Watch() => Stream.Watch(writes: true);

    protected override void Clear() => _rest = default;
}
