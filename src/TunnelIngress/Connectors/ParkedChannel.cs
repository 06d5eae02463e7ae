using Shared.Streams;
using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;

namespace TunnelIngress.Connectors;

/// <summary>
/// A data channel at the ingress from its upgrade to the end of its stream. The upgrade request stays open until <see cref="Done"/>,
/// because the web server takes the WebSocket down when its request ends.
/// </summary>
internal sealed class ParkedChannel(DataChannel channel) : IServiceChannel
{
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when nobody uses the channel any more.</summary>
    public Task Done => _done.Task;

    /// <inheritdoc/>
    public async Task<ChannelMessage?> AskAsync(Open open, EarlyData? early, CancellationToken cancellationToken)
    {
        await channel.SendAsync(open, cancellationToken);
        return await channel.ReceiveAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public DuplexStream ToStream() => channel.ToStream();

    /// <inheritdoc/>
    public void Release()
    {
        channel.Abort();
        _done.TrySetResult();
    }
}
