using Shared.Streams.Protocol;

namespace Shared.Streams.Multiplexing;

/// <summary>
/// The two messages before the frames of a carrier that is no WebSocket: what an upgrade request and its answer say otherwise.
/// Reads not a byte more than those. docs/protocol.md section 5.
/// </summary>
public static class CarrierHandshake
{
    /// <summary>Sends a message.</summary>
    /// <exception cref="IOException">The carrier broke.</exception>
    public static async ValueTask SendAsync(DuplexStream carrier, CarrierMessage message, CancellationToken cancellationToken)
    {
        var body = ProtocolCodec.Encode(message);
        var frame = new byte[FrameHeader.Size + body.Length];
        new FrameHeader(0, FrameType.Handshake, body.Length).Write(frame);
        body.CopyTo(frame, FrameHeader.Size);
        await carrier.WriteAsync(frame, cancellationToken);
    }

    /// <summary>Receives a message.</summary>
    /// <exception cref="ProtocolException">The peer sent something else.</exception>
    /// <exception cref="IOException">The carrier broke or ended.</exception>
    public static async ValueTask<CarrierMessage> ReceiveAsync(DuplexStream carrier, CancellationToken cancellationToken)
    {
        var head = new byte[FrameHeader.Size];
        await ReadExactlyAsync(carrier, head, cancellationToken);
        var header = FrameHeader.Read(head);
        if (header.Type != FrameType.Handshake)
        {
            throw new ProtocolException($"a frame of type {header.Type} before the handshake of a carrier");
        }

        var body = new byte[header.Length];
        await ReadExactlyAsync(carrier, body, cancellationToken);
        return ProtocolCodec.DecodeCarrier(body);
    }

    private static async ValueTask ReadExactlyAsync(DuplexStream carrier, Memory<byte> destination, CancellationToken cancellationToken)
    {
        while (!destination.IsEmpty)
        {
            var count = await carrier.ReadAsync(destination, cancellationToken);
            if (count == 0)
            {
                throw new IOException("the carrier ended during its handshake");
            }

            destination = destination[count..];
        }
    }
}
