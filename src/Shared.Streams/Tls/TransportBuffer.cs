using System.Buffers;
using System.Runtime.CompilerServices;

namespace Shared.Streams.Tls;

/// <summary>
/// Gathers the records of one large write, so that they leave with one system call, and takes in several records at once while a peer
/// sends much. SslStream itself writes and reads one record of 16 KiB at a time. Small messages pass without a copy, and a stream that
/// does not move much holds no buffer. One reader and one writer at a time.
/// </summary>
internal sealed class TransportBuffer(DuplexStream inner)
{
    /// <summary>More than one record has, with its header and its tag (RFC 8446 section 5.2).</summary>
    public const int LargestRecord = 16 * 1024 + 256 + 5;

    private const int Size = 128 * 1024;

    private readonly Lock _gathering = new();
    private byte[] _out = [];
    private int _outCount;
    private bool _isGathering;

    private byte[] _ahead = [];
    private int _aheadStart;
    private int _aheadEnd;
    private bool _isBulk;

    /// <summary>How many bytes were received and not read yet.</summary>
    public int Ahead => _aheadEnd - _aheadStart;

    /// <summary>What is written from here on may wait for <see cref="FlushAsync"/>.</summary>
    public void BeginGathering()
    {
        lock (_gathering)
        {
            _isGathering = true;
        }
    }

    /// <summary>Writes, or keeps for the end of the gathering.</summary>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        bool isGathering;
        lock (_gathering)
        {
            isGathering = _isGathering;
            if (isGathering && TryGather(buffer.Span))
            {
                return ValueTask.CompletedTask;
            }
        }

        // Outside the lock: a write may send, and let others go on, before it returns.
        return isGathering ? WriteFullAsync(buffer, cancellationToken) : inner.WriteAsync(buffer, cancellationToken);
    }

    /// <summary>Ends the gathering and writes what is left of it.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        byte[] gathered;
        int count;
        lock (_gathering)
        {
            (gathered, count, _isGathering) = (_out, _outCount, false);
            (_out, _outCount) = ([], 0);
        }

        if (gathered.Length == 0)
        {
            return;
        }

        try
        {
            await inner.WriteAsync(gathered.AsMemory(0, count), cancellationToken);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(gathered);
        }
    }

    /// <summary>Reads what is there already, or whatever comes.</summary>
    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (Ahead > 0)
        {
            return ValueTask.FromResult(Take(buffer.Span));
        }

        // SslStream waits without a buffer before it reads, so none is held while nothing comes.
        return buffer.IsEmpty ? inner.ReadAsync(buffer, cancellationToken)
            : _isBulk ? ReadAheadAsync(buffer, cancellationToken)
            : ReadDirectlyAsync(buffer, cancellationToken);
    }

    private bool TryGather(ReadOnlySpan<byte> bytes)
    {
        if (_outCount + bytes.Length > Size)
        {
            return false;
        }

        if (_out.Length == 0)
        {
            _out = ArrayPool<byte>.Shared.Rent(Size);
        }

        bytes.CopyTo(_out.AsSpan(_outCount));
        _outCount += bytes.Length;
        return true;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteFullAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        await FlushAsync(cancellationToken);
        BeginGathering();
        if (!TryGather(buffer.Span))
        {
            await inner.WriteAsync(buffer, cancellationToken);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReadDirectlyAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var count = await inner.ReadAsync(buffer, cancellationToken);
        _isBulk = count == buffer.Length;
        return count;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReadAheadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        _ahead = ArrayPool<byte>.Shared.Rent(Size);
        try
        {
            _aheadEnd = await inner.ReadAsync(_ahead, cancellationToken);
        }
        catch
        {
            GiveBack();
            throw;
        }

        _isBulk = _aheadEnd > buffer.Length;
        if (_aheadEnd == 0)
        {
            GiveBack();
            return 0;
        }

        return Take(buffer.Span);
    }

    private int Take(Span<byte> destination)
    {
        var count = Math.Min(destination.Length, Ahead);
        _ahead.AsSpan(_aheadStart, count).CopyTo(destination);
        _aheadStart += count;
        if (Ahead == 0)
        {
            GiveBack();
        }

        return count;
    }

    private void GiveBack()
    {
        ArrayPool<byte>.Shared.Return(_ahead);
        (_ahead, _aheadStart, _aheadEnd) = ([], 0, 0);
    }
}
