namespace Shared.Streams.Tests.Conformance;

/// <summary>The two ends of one stream, and whatever else has to be cleaned up with them.</summary>
public sealed class StreamPair(DuplexStream near, DuplexStream far, Func<Task>? cleanUp = null) : IAsyncDisposable
{
    public DuplexStream Near { get; } = near;

    public DuplexStream Far { get; } = far;

    public StreamPair Swapped() => new(Far, Near, cleanUp);

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(Near.DisposeAsync().AsTask(), Far.DisposeAsync().AsTask());
        if (cleanUp is not null)
        {
            await cleanUp();
        }
    }
}
