using Shared.Streams.Protocol;

namespace Shared.Streams.WebSockets;

/// <summary>A data channel that was asked to open a stream.</summary>
/// <param name="channel">The channel, which becomes the stream.</param>
/// <param name="open">What is asked for.</param>
public sealed class ChannelRequest(DataChannel channel, Open open) : IStreamRequest
{
    /// <inheritdoc/>
    public Open Open => open;

    /// <inheritdoc/>
    public async ValueTask<DuplexStream> AcceptAsync(CancellationToken cancellationToken)
    {
        await channel.SendAsync(new Opened(), cancellationToken);
        return channel.ToStream();
    }

    /// <inheritdoc/>
    public ValueTask RefuseAsync(Refused refused, CancellationToken cancellationToken) => channel.SendAsync(refused, cancellationToken);

    /// <inheritdoc/>
    public void Abort(StreamAbort reason) => channel.Abort();
}
