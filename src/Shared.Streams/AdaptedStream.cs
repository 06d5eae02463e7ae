using System.Runtime.CompilerServices;

namespace Shared.Streams;

/// <summary>
/// A <see cref="DuplexStream"/> as the base class library's <see cref="Stream"/>, for code that knows no other: SslStream and the HTTP
/// client. Asynchronous only. An abort comes out as the <see cref="IOException"/> that it is.
/// </summary>
/// <remarks>
/// One read and one write may be outstanding at once. Disposal may come from anybody, blocks nobody and is the end of the stream: it is
/// never used for anything else afterwards. It ends the writing direction first, so that a peer whose connection merely is not needed any
/// more reads an end; when a write is outstanding the stream is aborted, because what was meant to be said is cut short.
/// </remarks>
/// <param name="inner">The stream.</param>
/// <param name="leaveOpen">Disposal leaves the stream alone: it is its owner's to end.</param>
/// <param name="time">The clock; the system's without.</param>
public class AdaptedStream(DuplexStream inner, bool leaveOpen, TimeProvider? time = null) : Stream
{
    /// <summary>The limit of ending the writing direction in order, after which the stream is aborted.</summary>
    public static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(5);

    private int _writes;
    private int _disposed;
    private volatile bool _stepsAside;

    /// <summary>
    /// While set, whoever had to wait for a read goes on in the thread pool: for handshakes, which compute for longer than the other
    /// streams of a thread should wait.
    /// </summary>
    public bool StepsAside
    {
        get => _stepsAside;
        set => _stepsAside = value;
    }

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanWrite => true;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var reading = inner.ReadAsync(buffer, cancellationToken);
        return _stepsAside && !reading.IsCompleted ? StepAsideAsync(reading) : reading;
    }

    /// <inheritdoc/>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (leaveOpen)
        {
            return inner.WriteAsync(buffer, cancellationToken);
        }

        Interlocked.Increment(ref _writes);
        var writing = inner.WriteAsync(buffer, cancellationToken);
        if (writing.IsCompleted)
        {
            Interlocked.Decrement(ref _writes);
            return writing;
        }

        return FinishAsync(writing);
    }

    /// <inheritdoc/>
    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && !leaveOpen && Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            if (Volatile.Read(ref _writes) > 0)
            {
                inner.Abort(StreamAbort.Dropped);
            }

            _ = EndAsync();
        }

        base.Dispose(disposing);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask FinishAsync(ValueTask writing)
    {
        try
        {
            await writing;
        }
        finally
        {
            Interlocked.Decrement(ref _writes);
        }
    }

    private async Task EndAsync()
    {
        using var limit = new CancellationTokenSource(EndTimeout, time ?? TimeProvider.System);
        try
        {
            await inner.CompleteWritesAsync(limit.Token);
        }
        catch (StreamAbortedException)
        {
            // It has ended already.
        }
        catch (OperationCanceledException)
        {
            // A peer that takes nothing is owed no more than this.
            inner.Abort(StreamAbort.Dropped);
        }
        finally
        {
            await inner.DisposeAsync();
        }
    }

    private static async ValueTask<int> StepAsideAsync(ValueTask<int> reading)
    {
        var count = await reading;
        await Task.Yield();
        return count;
    }
}
