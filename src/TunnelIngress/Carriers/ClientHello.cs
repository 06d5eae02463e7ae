using System.Buffers.Binary;

namespace TunnelIngress.Carriers;

/// <summary>What the first bytes of a connection say about it.</summary>
internal enum Hello
{
    /// <summary>A TLS ClientHello has begun, but is not whole.</summary>
    Incomplete,

    /// <summary>A ClientHello that offers our application protocol.</summary>
    OffersProtocol,

    /// <summary>Anything else.</summary>
    Other,
}

/// <summary>Reads a TLS ClientHello (RFC 8446 section 4.1.2) as far as its ALPN extension (RFC 7301 section 3.1).</summary>
internal static class ClientHello
{
    private const int RecordHeader = 5;
    private const byte HandshakeRecord = 22;
    private const byte ClientHelloMessage = 1;
    private const ushort AlpnExtension = 16;

    /// <summary>Looks for an application protocol.</summary>
    /// <param name="bytes">What has arrived of the connection.</param>
    /// <param name="protocol">The protocol's name.</param>
    public static Hello Read(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> protocol)
    {
        if (bytes.Length >= 1 && bytes[0] != HandshakeRecord)
        {
            return Hello.Other;
        }

        if (bytes.Length < RecordHeader)
        {
            return Hello.Incomplete;
        }

        var length = BinaryPrimitives.ReadUInt16BigEndian(bytes[3..]);
        if (bytes.Length < RecordHeader + length)
        {
            return Hello.Incomplete;
        }

        return Offers(bytes.Slice(RecordHeader, length), protocol) ? Hello.OffersProtocol : Hello.Other;
    }

    private static bool Offers(ReadOnlySpan<byte> record, ReadOnlySpan<byte> protocol)
    {
        var reader = new Reader(record);
        var isHello = reader.TryByte(out var type) && type == ClientHelloMessage && reader.TrySkip(3) && reader.TrySkip(2 + 32)
            && reader.TryVector8(out _) && reader.TryVector16(out _) && reader.TryVector8(out _);
        if (!isHello || !reader.TryVector16(out var extensions))
        {
            return false;
        }

        reader = new Reader(extensions);
        while (reader.TryUInt16(out var extension) && reader.TryVector16(out var body))
        {
            if (extension == AlpnExtension)
            {
                return Names(body, protocol);
            }
        }

        return false;
    }

    private static bool Names(ReadOnlySpan<byte> extension, ReadOnlySpan<byte> protocol)
    {
        if (!new Reader(extension).TryVector16(out var list))
        {
            return false;
        }

        var reader = new Reader(list);
        while (reader.TryVector8(out var name))
        {
            if (name.SequenceEqual(protocol))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Takes fields from the front; false when there are not so many bytes left.</summary>
    private ref struct Reader(ReadOnlySpan<byte> bytes)
    {
        private ReadOnlySpan<byte> _rest = bytes;

        public bool TrySkip(int count) => TryTake(count, out _);

        public bool TryByte(out byte value)
        {
            var ok = TryTake(1, out var taken);
            value = ok ? taken[0] : default;
            return ok;
        }

        public bool TryUInt16(out ushort value)
        {
            var ok = TryTake(2, out var taken);
            value = ok ? BinaryPrimitives.ReadUInt16BigEndian(taken) : default;
            return ok;
        }

        public bool TryVector8(out ReadOnlySpan<byte> vector)
        {
            vector = default;
            return TryByte(out var length) && TryTake(length, out vector);
        }

        public bool TryVector16(out ReadOnlySpan<byte> vector)
        {
            vector = default;
            return TryUInt16(out var length) && TryTake(length, out vector);
        }

        private bool TryTake(int count, out ReadOnlySpan<byte> taken)
        {
            if (_rest.Length < count)
            {
                taken = default;
                return false;
            }

            taken = _rest[..count];
            _rest = _rest[count..];
            return true;
        }
    }
}
