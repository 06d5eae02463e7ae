using System.Net.WebSockets;
using Shared.Streams.Protocol;

namespace Shared.Streams.WebSockets;

/// <summary>
/// The one long-lived WebSocket of a connector and an ingress. Any number of senders, one receiver; <see cref="Abort"/> by anyone.
/// Its liveness is the WebSocket's pings: a peer that does not answer in time fails the pending receive.
/// </summary>
public sealed class ControlChannel : IDisposable
{
    private static readonly TimeSpan SendTimeout = TimeSpan.FromSeconds(5);

    private readonly WebSocket _webSocket;
    private readonly SemaphoreSlim _sending = new(1, 1);

    /// <summary>Takes over an open WebSocket.</summary>
    public ControlChannel(WebSocket webSocket)
    {
        _webSocket = webSocket;
    }

    /// <summary>Sends a message.</summary>
    /// <exception cref="IOException">The channel is lost, or the peer takes nothing for 5 s.</exception>
    public async ValueTask SendAsync(ControlMessage message, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(SendTimeout);
        try
        {
            await _sending.WaitAsync(limit.Token);
            try
            {
                await TextChannel.SendAsync(_webSocket, ProtocolCodec.Encode(message), limit.Token);
            }
            finally
            {
                _sending.Release();
            }
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            _webSocket.Abort();
            throw new IOException("the peer takes no messages", exception);
        }
    }

    /// <summary>Receives the next message; null when the peer closed the channel.</summary>
    /// <exception cref="ProtocolException">The peer broke the protocol.</exception>
    /// <exception cref="IOException">The channel is lost.</exception>
    public async ValueTask<ControlMessage?> ReceiveAsync(CancellationToken cancellationToken)
    {
        var utf8 = await TextChannel.ReceiveAsync(_webSocket, TunnelProtocol.MaxControlMessage, cancellationToken);
        return utf8 is null ? null : ProtocolCodec.DecodeControl(utf8);
    }

    /// <summary>Says goodbye in order, waiting at most a second.</summary>
    public async ValueTask CloseAsync(WebSocketCloseStatus status, string description)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        try
        {
            await _webSocket.CloseOutputAsync(status, description, limit.Token);
        }
        catch (Exception exception) when (exception is WebSocketException or OperationCanceledException
            or ObjectDisposedException or InvalidOperationException)
        {
            // The peer is gone already; there is nobody to say goodbye to.
        }
    }

    /// <summary>Cuts the channel; a pending receive fails.</summary>
    public void Abort() => _webSocket.Abort();

    /// <inheritdoc/>
    public void Dispose()
    {
        _webSocket.Dispose();
        _sending.Dispose();
    }
}
