using System.Net.WebSockets;
using Shared.Streams.Protocol;

namespace Shared.Streams.WebSockets;

/// <summary>
/// A data channel before its stream: parked, then asked to open. Serves one stream and is never used again.
/// One caller at a time; <see cref="Abort"/> may be called by anyone.
/// </summary>
public sealed class DataChannel : IDisposable
{
    private readonly WebSocket _webSocket;
    private readonly CancellationToken _connectionClosed;
    private bool _becameStream;

    /// <summary>Takes over an open WebSocket.</summary>
    /// <param name="webSocket">The open WebSocket.</param>
    /// <param name="connectionClosed">On a web server, cancelled when the connection is gone.</param>
    public DataChannel(WebSocket webSocket, CancellationToken connectionClosed = default)
    {
        (_webSocket, _connectionClosed) = (webSocket, connectionClosed);
    }

    /// <summary>Sends a message.</summary>
    /// <exception cref="IOException">The channel is lost.</exception>
    public ValueTask SendAsync(ChannelMessage message, CancellationToken cancellationToken) =>
        TextChannel.SendAsync(_webSocket, ProtocolCodec.Encode(message), cancellationToken);

    /// <summary>Receives the next message; null when the peer closed the channel. Holds no buffer while waiting.</summary>
    /// <exception cref="ProtocolException">The peer broke the protocol.</exception>
    /// <exception cref="IOException">The channel is lost.</exception>
    public async ValueTask<ChannelMessage?> ReceiveAsync(CancellationToken cancellationToken)
    {
        var utf8 = await TextChannel.ReceiveAsync(_webSocket, TunnelProtocol.MaxChannelMessage, cancellationToken);
        return utf8 is null ? null : ProtocolCodec.DecodeChannel(utf8);
    }

    /// <summary>From here on the channel is a stream, and this object lets go of it.</summary>
    public ChannelStream ToStream()
    {
        _becameStream = true;
        return new ChannelStream(_webSocket, _connectionClosed);
    }

    /// <summary>Cuts the channel; does nothing once it is a stream.</summary>
    public void Abort()
    {
        if (!_becameStream)
        {
            _webSocket.Abort();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_becameStream)
        {
            _webSocket.Dispose();
        }
    }
}
