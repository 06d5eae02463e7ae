using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Shared.Pooling.Postgres.Protocol;

/// <summary>
/// Collects messages until they are written to a stream in one piece. Its memory comes from a shared pool and goes back when it is
/// cleared, so an idle connection holds none. Not safe for concurrent use.
/// </summary>
internal sealed class MessageWriter : IDisposable
{
    private const int FirstSize = 1024;

    private byte[] _buffer = [];
    private int _count;
    private int _messageStart = -1;

    /// <summary>What was written and not cleared.</summary>
    public ReadOnlyMemory<byte> Written => _buffer.AsMemory(0, _count);

    /// <summary>How many bytes that is.</summary>
    public int Count => _count;

    /// <summary>Begins a message; its length is filled in by <see cref="End"/>.</summary>
    public MessageWriter Begin(byte type)
    {
        Byte(type);
        return BeginUntyped();
    }

    /// <summary>Begins a message about a client's authentication.</summary>
    public MessageWriter Begin(AuthenticationRequest request) => Begin(BackendMessage.Authentication).Int32((int)request);

    /// <summary>Begins a message without a type byte: a startup packet.</summary>
    public MessageWriter BeginUntyped()
    {
        _messageStart = _count;
        return Int32(0);
    }

    /// <summary>Ends the message that was begun last.</summary>
    public void End()
    {
        BinaryPrimitives.WriteInt32BigEndian(_buffer.AsSpan(_messageStart), _count - _messageStart);
        _messageStart = -1;
    }

    public MessageWriter Byte(byte value)
    {
        Reserve(1)[0] = value;
        _count++;
        return this;
    }

    public MessageWriter Int16(short value)
    {
        BinaryPrimitives.WriteInt16BigEndian(Reserve(sizeof(short)), value);
        _count += sizeof(short);
        return this;
    }

    public MessageWriter Int32(int value)
    {
        BinaryPrimitives.WriteInt32BigEndian(Reserve(sizeof(int)), value);
        _count += sizeof(int);
        return this;
    }

    public MessageWriter Bytes(ReadOnlySpan<byte> value)
    {
        value.CopyTo(Reserve(value.Length));
        _count += value.Length;
        return this;
    }

    /// <summary>UTF-8 and a terminating zero. A zero inside would end the string early, so it is refused.</summary>
    /// <exception cref="ArgumentException">The text contains a zero.</exception>
    public MessageWriter CString(string value)
    {
        if (value.Contains('\0', StringComparison.Ordinal))
        {
            throw new ArgumentException("a protocol string cannot contain a zero byte", nameof(value));
        }

        _count += Encoding.UTF8.GetBytes(value, Reserve(Encoding.UTF8.GetMaxByteCount(value.Length)));
        return Byte(0);
    }

    /// <summary>The bytes and a terminating zero.</summary>
    public MessageWriter CString(ReadOnlySpan<byte> value) => Bytes(value).Byte(0);

    /// <summary>Forgets what was written and gives the memory back.</summary>
    public void Clear()
    {
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
        }

        _buffer = [];
        _count = 0;
    }

    /// <summary>Gives the memory back.</summary>
    public void Dispose() => Clear();

    private Span<byte> Reserve(int size)
    {
        if (_buffer.Length - _count < size)
        {
            var wanted = checked((long)_count + size);
            var larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(Array.MaxLength, Math.Max(wanted, Math.Max(FirstSize, 2L * _buffer.Length))));
            _buffer.AsSpan(0, _count).CopyTo(larger);
            if (_buffer.Length > 0)
            {
                ArrayPool<byte>.Shared.Return(_buffer);
            }

            _buffer = larger;
        }

        return _buffer.AsSpan(_count);
    }
}
