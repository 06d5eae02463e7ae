using System.Buffers.Binary;
using Shared.Streams.Protocol;

namespace Shared.Streams.Multiplexing;

/// <summary>What a frame of a carrier is. docs/protocol.md section 5.</summary>
internal enum FrameType : byte
{
    /// <summary>Bytes of a stream.</summary>
    Data = 1,

    /// <summary>A <see cref="ChannelMessage"/> about a stream: open, opened, refused, end, reset.</summary>
    Message = 2,

    /// <summary>The receiver of a stream takes so many bytes more: four bytes.</summary>
    Credit = 3,

    /// <summary>Asks for a <see cref="Pong"/> with the same eight bytes; of no stream.</summary>
    Ping = 4,

    /// <summary>The answer to a <see cref="Ping"/>.</summary>
    Pong = 5,

    /// <summary>A <see cref="CarrierMessage"/>: who wants to use this carrier. Only before all others; of no stream.</summary>
    Handshake = 6,

    /// <summary>
    /// From the end that accepts streams: no more of them. The stream is the last one that was taken; what was asked for after it has not
    /// happened. Empty.
    /// </summary>
    Drain = 7,
}

/// <summary>The eight bytes before each frame's body, in network order: four of the stream, one of the type, three of the length.</summary>
/// <param name="Stream">The stream; 0 is the carrier itself.</param>
/// <param name="Type">The type.</param>
/// <param name="Length">The length of the body in bytes.</param>
internal readonly record struct FrameHeader(uint Stream, FrameType Type, int Length)
{
    /// <summary>The size of a header in bytes.</summary>
    public const int Size = 8;

    /// <summary>The length of a credit's body.</summary>
    public const int CreditLength = 4;

    /// <summary>The length of a ping's and a pong's body.</summary>
    public const int PingLength = 8;

    /// <summary>Reads and checks a header: what comes back is of a known type and has a length that this type may have.</summary>
    /// <param name="bytes">At least <see cref="Size"/> bytes.</param>
    /// <exception cref="ProtocolException">The peer sent something else.</exception>
    public static FrameHeader Read(ReadOnlySpan<byte> bytes)
    {
        var word = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]);
        var header = new FrameHeader(BinaryPrimitives.ReadUInt32BigEndian(bytes), (FrameType)(word >> 24), (int)(word & 0xFF_FFFF));
        var isValid = header.Type switch
        {
            FrameType.Data => header.Stream != 0 && header.Length is > 0 and <= TunnelProtocol.MaxPayload,
            FrameType.Message => header.Stream != 0 && header.Length is > 0 and <= TunnelProtocol.MaxChannelMessage,
            FrameType.Credit => header.Stream != 0 && header.Length == CreditLength,
            FrameType.Handshake => header.Stream == 0 && header.Length is > 0 and <= TunnelProtocol.MaxChannelMessage,
            FrameType.Drain => header.Length == 0,
            FrameType.Ping or FrameType.Pong => header.Stream == 0 && header.Length == PingLength,
            _ => false,
        };
        return isValid ? header : throw new ProtocolException($"a frame of type {(byte)header.Type} and {header.Length} bytes on stream {header.Stream}");
    }

    /// <summary>Writes the header.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, Stream);
        BinaryPrimitives.WriteUInt32BigEndian(destination[4..], ((uint)Type << 24) | (uint)Length);
    }
}
