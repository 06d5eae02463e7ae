using System.Buffers;

namespace Shared.Streams.Multiplexing;

/// <summary>
/// Bytes that have arrived and were not read yet, in rented blocks; none while it is empty. Blocks are as large as what waits already: few make up
/// a large queue, and a small one takes little more than twice its bytes. One caller at a time.
/// </summary>
internal sealed class ReceiveQueue
{
    private const int SmallestBlock = 4 * 1024;
    private const int LargestBlock = 64 * 1024;
    private const int KeptBlocks = 256;

    // The shared one keeps fewer than full streams need between two turns of a slow target, and drops them at each large collection.
    private static readonly ArrayPool<byte> Blocks = ArrayPool<byte>.Create(LargestBlock, KeptBlocks);

    private readonly Queue<byte[]> _blocks = new();
    private byte[] _last = [];
    private int _readFrom;
    private int _writtenTo;
    private int _count;

    public bool IsEmpty => _blocks.Count == 0;

    /// <summary>Adds a copy.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (IsEmpty || _writtenTo == _last.Length)
            {
                _last = Blocks.Rent(Math.Clamp(Math.Max(bytes.Length, _count), SmallestBlock, LargestBlock));
                _writtenTo = 0;
                _blocks.Enqueue(_last);
            }

            var count = Math.Min(bytes.Length, _last.Length - _writtenTo);
            bytes[..count].CopyTo(_last.AsSpan(_writtenTo));
            _writtenTo += count;
            _count += count;
            bytes = bytes[count..];
        }
    }

    /// <summary>Takes what fits.</summary>
    /// <returns>How many bytes.</returns>
    public int Read(Span<byte> destination)
    {
        var total = 0;
        while (!destination.IsEmpty && _blocks.TryPeek(out var block))
        {
            var end = block == _last ? _writtenTo : block.Length;
            var count = Math.Min(destination.Length, end - _readFrom);
            block.AsSpan(_readFrom, count).CopyTo(destination);
            destination = destination[count..];
            total += count;
            _readFrom += count;
            if (_readFrom == end)
            {
                Drop();
            }
        }

        _count -= total;
        return total;
    }

    /// <summary>Throws everything away.</summary>
    public void Clear()
    {
        while (!IsEmpty)
        {
            Drop();
        }

        _count = 0;
    }

    private void Drop()
    {
        Blocks.Return(_blocks.Dequeue());
        _readFrom = 0;
    }
}
