namespace Shared.Streams.Tests.Conformance;

/// <summary>Two connected ends and whatever keeps them connected.</summary>
public sealed class StreamPair(DuplexStream left, DuplexStream right, params IAsyncDisposable[] holders) : IAsyncDisposable
{
    public DuplexStream Left => left;

    public DuplexStream Right => right;

    public async ValueTask DisposeAsync()
    {
        left.Abort(new StreamAbort(AbortCode.Dropped));
        right.Abort(new StreamAbort(AbortCode.Dropped));
        await left.DisposeAsync();
        await right.DisposeAsync();
        foreach (var holder in holders)
        {
            await holder.DisposeAsync();
        }
    }
}
