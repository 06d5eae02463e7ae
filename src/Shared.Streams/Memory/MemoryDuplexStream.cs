using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace Shared.Streams.Memory;

/// <summary>
/// One end of a stream inside this process, for pools hosted beside their caller and for tests. Half-close, abort with its reason and
/// back-pressure are those of the contract; nothing is lost in translation because there is no transport.
/// </summary>
public sealed class MemoryDuplexStream : DuplexStream
{
    // A writer hands over in pieces, so that one huge write cannot fill memory past the capacity.
    private const int LargestPiece = 16 * 1024;

    private readonly Pipe _incoming;
    private readonly Pipe _outgoing;
    private readonly Ending _ending;
    private readonly Ending _peersEnding;
    private int _disposed;
    private volatile bool _readEnded;
    private volatile bool _writesCompleted;

    private MemoryDuplexStream(Pipe incoming, Pipe outgoing, Ending ending, Ending peersEnding)
    {
        (_incoming, _outgoing, _ending, _peersEnding) = (incoming, outgoing, ending, peersEnding);
    }

    /// <summary>Creates the two ends of a stream.</summary>
    /// <param name="capacity">How many bytes a direction holds, give or take one piece of 16 KiB, before its writer waits.</param>
    public static (MemoryDuplexStream First, MemoryDuplexStream Second) CreatePair(int capacity = 64 * 1024)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        var options = new PipeOptions(
            pauseWriterThreshold: capacity, resumeWriterThreshold: Math.Max(1, capacity / 2), useSynchronizationContext: false);
        var (toFirst, toSecond) = (new Pipe(options), new Pipe(options));
        var (firsts, seconds) = (new Ending(), new Ending());
        return (new MemoryDuplexStream(toFirst, toSecond, firsts, seconds), new MemoryDuplexStream(toSecond, toFirst, seconds, firsts));
    }

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_readEnded)
        {
            return 0;
        }

        while (true)
        {
            _ending.Abort.ThrowIfSet();
            var result = await _incoming.Reader.ReadAsync(cancellationToken);
            var count = (int)Math.Min(buffer.Length, result.Buffer.Length);
            var taken = result.Buffer.Slice(0, count);
            taken.CopyTo(buffer.Span);
            var waiting = !result.Buffer.IsEmpty;
            _incoming.Reader.AdvanceTo(taken.End);
            _ending.Abort.ThrowIfSet();
            if (waiting)
            {
                return count;
            }

            if (result.IsCompleted)
            {
                _readEnded |= !buffer.IsEmpty;
                return 0;
            }
        }
    }

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ThrowIfCannotWrite();
        while (!buffer.IsEmpty)
        {
            var piece = buffer[..Math.Min(buffer.Length, LargestPiece)];
            buffer = buffer[piece.Length..];
            var result = await _outgoing.Writer.WriteAsync(piece, cancellationToken);
            while (result.IsCanceled)
            {
                // Woken by an ending; if it is not ours to report, the piece still waits for room.
                ThrowIfCannotWrite();
                result = await _outgoing.Writer.FlushAsync(cancellationToken);
            }
        }
    }

    /// <inheritdoc/>
    public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default)
    {
        if (!_writesCompleted)
        {
            _ending.Abort.ThrowIfSet();
            _writesCompleted = true;
            return _outgoing.Writer.CompleteAsync();
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override void Abort(StreamAbort reason)
    {
        if (Volatile.Read(ref _disposed) == 0 && _ending.Abort.TrySet(reason, byPeer: false))
        {
            _peersEnding.Abort.TrySet(reason, byPeer: true);
            WakeAll();
        }
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        if (!_writesCompleted)
        {
            Abort(StreamAbort.Dropped);
        }

        if (Interlocked.Exchange(ref _disposed, 1) == 0 && !_readEnded)
        {
            // What we wrote stays readable for the peer; what it writes from now on has no reader.
            _ending.Abort.TrySet(StreamAbort.Dropped, byPeer: false);
            _peersEnding.PeerReadsNoMore = true;
            WakeAll();
        }

        return ValueTask.CompletedTask;
    }

    private void WakeAll()
    {
        _incoming.Reader.CancelPendingRead();
        _incoming.Writer.CancelPendingFlush();
        _outgoing.Reader.CancelPendingRead();
        _outgoing.Writer.CancelPendingFlush();
    }

    private void ThrowIfCannotWrite()
    {
        if (_writesCompleted)
        {
            throw new InvalidOperationException("The writing direction of this stream has ended.");
        }

        _ending.Abort.ThrowIfSet();
        if (_ending.PeerReadsNoMore)
        {
            throw new StreamAbortedException(StreamAbort.Reset, byPeer: true);
        }
    }

    private sealed class Ending
    {
        private volatile bool _peerReadsNoMore;

        public AbortLatch Abort { get; } = new();

        public bool PeerReadsNoMore
        {
            get => _peerReadsNoMore;
            set => _peerReadsNoMore = value;
        }
    }
}
