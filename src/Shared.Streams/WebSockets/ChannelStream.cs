using System.Net.WebSockets;
using Shared.Streams.Protocol;

namespace Shared.Streams.WebSockets;

/// <summary>
/// A stream over a WebSocket whose two ends speak the tunnel protocol: ends and aborts are text messages, ordered with the data,
/// so half-close is exact and a vanished peer is an abort, never an end. docs/protocol.md section 4.
/// </summary>
/// <remarks>
/// Comes from <see cref="DataChannel"/> between connector and ingress, and from an upgrade with
/// <see cref="TunnelProtocol.VersionHeader"/> between our forwarder and ingress. Goes into the relay.
/// </remarks>
public sealed class ChannelStream : WebSocketDuplexStream
{
    /// <summary>Takes over an open WebSocket; nobody else may use it any more.</summary>
    /// <param name="webSocket">The open WebSocket.</param>
    /// <param name="connectionClosed">On a web server, cancelled when the connection is gone.</param>
    public ChannelStream(WebSocket webSocket, CancellationToken connectionClosed = default)
        : base(webSocket, connectionClosed)
    {
    }

    private protected override ValueTask SayEndAsync(CancellationToken cancellationToken) =>
        SendAsync(ProtocolCodec.EndBytes, WebSocketMessageType.Text, cancellationToken);

    private protected override ValueTask SayAbortAsync(StreamAbort reason, CancellationToken cancellationToken) =>
        WebSocket.SendAsync(
            ProtocolCodec.Encode(new Reset(reason.Code.ToWire(), ProtocolCodec.OneLine(reason.Detail))),
            WebSocketMessageType.Text,
            WebSocketMessageFlags.EndOfMessage,
            cancellationToken);

    private protected override Signal OnText(ReadOnlySpan<byte> utf8)
    {
        ChannelMessage message;
        try
        {
            message = ProtocolCodec.DecodeChannel(utf8);
        }
        catch (ProtocolException exception)
        {
            throw Broken(new StreamAbort(AbortCode.ProtocolError, exception.Message), exception);
        }

        return message switch
        {
            End => Signal.End,
            Reset reset => throw Broken(new StreamAbort(AbortCodes.FromWire(reset.Code), ProtocolCodec.OneLine(reset.Message))),
            _ => throw Broken(new StreamAbort(AbortCode.ProtocolError, $"{message.GetType().Name} inside a stream")),
        };
    }

    private protected override Signal OnClose() =>
        throw Broken(new StreamAbort(AbortCode.ConnectionLost, "the channel was closed before the stream's end"));

    private protected override StreamAbort? OnTransportLost(Exception exception) => LossOf(exception);
}
