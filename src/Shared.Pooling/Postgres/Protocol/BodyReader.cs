using System.Buffers.Binary;

namespace Shared.Pooling.Postgres.Protocol;

/// <summary>Reads the fields of one message's body in order. Every field is checked against what is left.</summary>
/// <param name="body">The bytes after the length.</param>
internal ref struct BodyReader(ReadOnlySpan<byte> body)
{
    private ReadOnlySpan<byte> _rest = body;

    /// <summary>What was not read yet.</summary>
    public readonly ReadOnlySpan<byte> Rest => _rest;

    /// <summary>True at the end.</summary>
    public readonly bool IsEmpty => _rest.IsEmpty;

    /// <exception cref="ProtocolViolationException">The body is too short.</exception>
    public byte Byte() => Bytes(1)[0];

    /// <exception cref="ProtocolViolationException">The body is too short.</exception>
    public short Int16() => BinaryPrimitives.ReadInt16BigEndian(Bytes(sizeof(short)));

    /// <exception cref="ProtocolViolationException">The body is too short.</exception>
    public int Int32() => BinaryPrimitives.ReadInt32BigEndian(Bytes(sizeof(int)));

    /// <exception cref="ProtocolViolationException">The body is too short, or the count negative.</exception>
    public ReadOnlySpan<byte> Bytes(int count)
    {
        if ((uint)count > (uint)_rest.Length)
        {
            throw new ProtocolViolationException("a message is shorter than its fields");
        }

        var bytes = _rest[..count];
        _rest = _rest[count..];
        return bytes;
    }

    /// <exception cref="ProtocolViolationException">Something is left.</exception>
    public readonly void End()
    {
        if (!_rest.IsEmpty)
        {
            throw new ProtocolViolationException("a message is longer than its fields");
        }
    }

    /// <summary>A string without its terminating zero.</summary>
    /// <exception cref="ProtocolViolationException">There is no terminating zero.</exception>
    public ReadOnlySpan<byte> CString()
    {
        var end = _rest.IndexOf((byte)0);
        if (end < 0)
        {
            throw new ProtocolViolationException("a string in a message has no end");
        }

        var text = _rest[..end];
        _rest = _rest[(end + 1)..];
        return text;
    }
}
