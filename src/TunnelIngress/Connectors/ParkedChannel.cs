using Shared.Streams.WebSockets;

namespace TunnelIngress.Connectors;

/// <summary>
/// A data channel at the ingress from its upgrade to the end of its stream. The upgrade request stays open until <see cref="Done"/>,
/// because the web server takes the WebSocket down when its request ends.
/// </summary>
internal sealed class ParkedChannel(DataChannel channel)
{
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public DataChannel Channel => channel;

    /// <summary>Completes when nobody uses the channel any more.</summary>
    public Task Done => _done.Task;

    /// <summary>Nobody uses the channel any more.</summary>
    public void Release()
    {
        channel.Abort();
        _done.TrySetResult();
    }
}
