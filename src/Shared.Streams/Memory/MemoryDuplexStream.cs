using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace Shared.Streams.Memory;

/// <summary>Two ends of a stream inside one process: for tests, and where both ends of a protocol live in one program.</summary>
public sealed class MemoryDuplexStream : DuplexStream
{
    private const int DefaultCapacity = 64 * 1024;

    private readonly Pipe _incoming;
    private readonly Pipe _outgoing;
    private readonly Fate _fate;
    private int _disposed;
    private volatile bool _readEnded;
    private volatile bool _writesCompleted;

    private MemoryDuplexStream(Pipe incoming, Pipe outgoing, Fate fate)
    {
        (_incoming, _outgoing, _fate) = (incoming, outgoing, fate);
    }

    /// <summary>Makes a connected pair.</summary>
    /// <param name="capacity">How many bytes each direction holds before its writer waits.</param>
    public static (MemoryDuplexStream First, MemoryDuplexStream Second) CreatePair(int capacity = DefaultCapacity)
    {
        var options = new PipeOptions(pauseWriterThreshold: capacity, resumeWriterThreshold: capacity / 2, useSynchronizationContext: false);
        var (there, back) = (new Pipe(options), new Pipe(options));
        var fate = new Fate(there, back);
        return (new MemoryDuplexStream(back, there, fate), new MemoryDuplexStream(there, back, fate));
    }

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_readEnded)
        {
            return 0;
        }

        _fate.ThrowIfAborted(this);
        ReadResult result;
        try
        {
            result = await _incoming.Reader.ReadAsync(cancellationToken);
        }
        catch (InvalidOperationException) when (_fate.IsAborted)
        {
            throw _fate.ExceptionFor(this);
        }

        var count = (int)Math.Min(buffer.Length, result.Buffer.Length);
        result.Buffer.Slice(0, count).CopyTo(buffer.Span);
        var isEnd = result.IsCompleted && result.Buffer.IsEmpty;
        _incoming.Reader.AdvanceTo(result.Buffer.GetPosition(count));
        _fate.ThrowIfAborted(this);
        _readEnded = isEnd;
        return count;
    }

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_writesCompleted)
        {
            throw new InvalidOperationException("The writing direction of this stream has ended.");
        }

        _fate.ThrowIfAborted(this);
        if (buffer.IsEmpty)
        {
            return;
        }

        var result = await _outgoing.Writer.WriteAsync(buffer, cancellationToken);
        _fate.ThrowIfAborted(this);
        if (result.IsCompleted)
        {
            throw new StreamAbortedException(StreamAbort.Reset, byPeer: true);
        }
    }

    /// <inheritdoc/>
    public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default)
    {
        if (_writesCompleted)
        {
            return ValueTask.CompletedTask;
        }

        _fate.ThrowIfAborted(this);
        _writesCompleted = true;
        return _outgoing.Writer.CompleteAsync();
    }

    /// <inheritdoc/>
    public override void Abort(StreamAbort reason)
    {
        if (Volatile.Read(ref _disposed) == 0)
        {
            _fate.Abort(this, reason);
        }
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (!_writesCompleted)
        {
            Abort(new StreamAbort(AbortCode.Dropped, "dropped before its end"));
        }

        if (Interlocked.Exchange(ref _disposed, 1) == 0 && !_fate.IsAborted)
        {
            // Nobody reads any more: the peer's next write is met as a closed socket's would be.
            await _incoming.Reader.CompleteAsync();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>What both ends know: whether, by whom and why the stream was aborted.</summary>
    private sealed class Fate(Pipe there, Pipe back)
    {
        private Cause? _cause;

        public bool IsAborted => Volatile.Read(ref _cause) is not null;

        public void Abort(MemoryDuplexStream by, StreamAbort reason)
        {
            if (Interlocked.CompareExchange(ref _cause, new Cause(by, reason), null) is null)
            {
                // Wakes whoever waits to read or to write on either end.
                there.Reader.CancelPendingRead();
                back.Reader.CancelPendingRead();
                there.Writer.CancelPendingFlush();
                back.Writer.CancelPendingFlush();
            }
        }

        public void ThrowIfAborted(MemoryDuplexStream end)
        {
            if (IsAborted)
            {
                throw ExceptionFor(end);
            }
        }

        public StreamAbortedException ExceptionFor(MemoryDuplexStream end) => new(_cause!.Reason, byPeer: _cause.By != end);

        private sealed record Cause(MemoryDuplexStream By, StreamAbort Reason);
    }
}
