namespace TunnelIngress.Streams;

/// <summary>A stream whose target is connected and whose application waits for the answer.</summary>
internal sealed class OpenedStream(StreamInfo info, ServiceStream target, StreamGate.Admission admission, int earlyBytes) : IAsyncDisposable
{
    public StreamInfo Info => info;

    public ServiceStream Target => target;

    /// <summary>How many bytes of the application its target has got already.</summary>
    public int EarlyBytes => earlyBytes;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await target.DisposeAsync();
        admission.Dispose();
    }
}
