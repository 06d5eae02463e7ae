namespace TunnelIngress.Streams;

/// <summary>A stream whose target is connected and whose application waits for the answer.</summary>
internal sealed class OpenedStream(StreamInfo info, ServiceStream target, StreamGate.Admission admission) : IAsyncDisposable
{
    public StreamInfo Info => info;

    public ServiceStream Target => target;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await target.DisposeAsync();
        admission.Dispose();
    }
}
