using System.Buffers;
using System.Buffers.Binary;
using Shared.Streams;

namespace Shared.Pooling.Postgres.Protocol;

/// <summary>
/// The incoming side of a connection: bytes that arrived and were not used yet. Waiting without buffered bytes needs no memory.
/// Not safe for concurrent use.
/// </summary>
/// <param name="stream">Where the bytes come from.</param>
/// <param name="bufferSize">How many bytes are read at once.</param>
internal sealed class MessageReader(DuplexStream stream, int bufferSize = MessageReader.DefaultBufferSize) : IDisposable
{
    /// <summary>Type and length.</summary>
    public const int HeaderSize = 5;

    private const int DefaultBufferSize = 16 * 1024;

    private byte[] _buffer = [];
    private int _start;
    private int _end;

    /// <summary>Where the bytes come from.</summary>
    public DuplexStream Stream { get; private set; } = stream;

    /// <summary>What arrived and was not used. Valid until the next call that reads.</summary>
    public ReadOnlyMemory<byte> Buffered => _buffer.AsMemory(_start, _end - _start);

    /// <summary>Waits until at least so many bytes are buffered.</summary>
    /// <returns>False when the peer ended its direction before.</returns>
    /// <exception cref="StreamAbortedException">The stream was aborted.</exception>
    public ValueTask<bool> FillAsync(int atLeast, CancellationToken cancellationToken) =>
        _end - _start >= atLeast ? new(true) : ReadUntilAsync(atLeast, cancellationToken);

    /// <summary>
    /// Waits for more than is buffered already; when nothing is, without memory. Then comes <see cref="ReadAsync"/>. Both are the stream's
    /// own, for loops that live as long as the connection: they await nothing in between that would need memory for each wait.
    /// </summary>
    /// <exception cref="StreamAbortedException">The stream was aborted.</exception>
    public ValueTask<int> WaitAsync(CancellationToken cancellationToken)
    {
        if (_end != _start)
        {
            return new(0);
        }

        Release();
        return Stream.ReadAsync(Memory<byte>.Empty, cancellationToken);
    }

    /// <summary>Reads what there is. Its outcome goes to <see cref="Add"/>.</summary>
    /// <exception cref="StreamAbortedException">The stream was aborted.</exception>
    public ValueTask<int> ReadAsync(CancellationToken cancellationToken)
    {
        MakeRoom(_end - _start + 1);
        return Stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken);
    }

    /// <summary>Takes what <see cref="ReadAsync"/> has read.</summary>
    /// <returns>False when the peer has ended its direction.</returns>
    public bool Add(int count)
    {
        _end += count;
        return count > 0;
    }

    /// <summary>Uses up so many of the buffered bytes.</summary>
    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)count, (uint)(_end - _start), nameof(count));
        _start += count;
    }

    /// <summary>Type and length of the next message, when its header is buffered.</summary>
    /// <param name="type">Its type.</param>
    /// <param name="length">Its whole length, header included.</param>
    /// <exception cref="ProtocolViolationException">The length is impossible.</exception>
    public bool TryPeekHeader(out byte type, out long length)
    {
        if (_end - _start < HeaderSize)
        {
            (type, length) = (0, 0);
            return false;
        }

        type = _buffer[_start];
        length = BinaryPrimitives.ReadInt32BigEndian(_buffer.AsSpan(_start + 1)) + 1L;
        return length >= HeaderSize ? true : throw new ProtocolViolationException("a message's length is impossible");
    }

    /// <summary>Reads a whole message.</summary>
    /// <param name="maxBody">The largest body that is accepted, in bytes.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Type and body; the body is valid until the next call that reads.</returns>
    /// <exception cref="ProtocolViolationException">The length is impossible or above the limit.</exception>
    /// <exception cref="EndOfStreamException">The peer ended its direction before.</exception>
    /// <exception cref="StreamAbortedException">The stream was aborted.</exception>
    public async ValueTask<(byte Type, ReadOnlyMemory<byte> Body)> ReadMessageAsync(int maxBody, CancellationToken cancellationToken)
    {
        await FillOrThrowAsync(HeaderSize, cancellationToken);
        TryPeekHeader(out var type, out var length);
        if (length - HeaderSize > maxBody)
        {
            throw new ProtocolViolationException($"a message of {length} bytes is larger than allowed here ({maxBody})");
        }

        await FillOrThrowAsync((int)length, cancellationToken);
        var body = _buffer.AsMemory(_start + HeaderSize, (int)length - HeaderSize);
        _start += (int)length;
        return (type, body);
    }

    /// <summary>Waits until at least so many bytes are buffered.</summary>
    /// <exception cref="EndOfStreamException">The peer ended its direction before.</exception>
    public async ValueTask FillOrThrowAsync(int atLeast, CancellationToken cancellationToken)
    {
        if (!await FillAsync(atLeast, cancellationToken))
        {
            throw new EndOfStreamException("the connection ended in the middle of the conversation");
        }
    }

    /// <summary>Goes on with another stream over the same connection: TLS after its request.</summary>
    /// <exception cref="ProtocolViolationException">
    /// Bytes that came before TLS would be taken for encrypted ones (CVE-2021-23214, CVE-2021-23222).
    /// </exception>
    public void Continue(DuplexStream encrypted)
    {
        if (_end != _start)
        {
            throw new ProtocolViolationException("there were unencrypted bytes before the TLS handshake");
        }

        Stream = encrypted;
    }

    /// <summary>The stream with what was read of it already put back in front, for TLS that begins without a request.</summary>
    public DuplexStream TakeStream()
    {
        var taken = new PrefixedStream(Buffered.ToArray(), Stream);
        Release();
        return taken;
    }

    /// <summary>Gives the memory back. The stream stays open.</summary>
    public void Dispose() => Release();

    private async ValueTask<bool> ReadUntilAsync(int atLeast, CancellationToken cancellationToken)
    {
        if (_end == _start)
        {
            Release();
            await Stream.ReadAsync(Memory<byte>.Empty, cancellationToken);
        }

        while (_end - _start < atLeast)
        {
            // Memory grows with what has come, not with what was announced.
            MakeRoom(Math.Min(atLeast, Math.Max(bufferSize, 2 * (_end - _start))));
            var count = await Stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken);
            if (count == 0)
            {
                return false;
            }

            _end += count;
        }

        return true;
    }

    private void MakeRoom(int atLeast)
    {
        var held = _end - _start;
        if (_buffer.Length < Math.Max(atLeast, held + 1))
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(atLeast, bufferSize));
            _buffer.AsSpan(_start, held).CopyTo(larger);
            Release();
            _buffer = larger;
        }
        else if (_start > 0 && (_buffer.Length - _start < atLeast || _end == _buffer.Length))
        {
            _buffer.AsSpan(_start, held).CopyTo(_buffer);
        }
        else
        {
            return;
        }

        (_start, _end) = (0, held);
    }

    private void Release()
    {
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
        }

        (_buffer, _start, _end) = ([], 0, 0);
    }
}
