using Shared.Pooling.Postgres.Protocol;
using Shared.Streams;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// The outgoing side of a client's connection. Answers come from the server connection it is linked to and, for what is answered here,
/// from its own loop; both append, and whoever comes first writes for both. Safe for concurrent use.
/// </summary>
/// <param name="stream">The client's connection.</param>
internal sealed class ClientOutput(DuplexStream stream) : IDisposable
{
    /// <summary>Above this much unwritten data, in bytes, whoever appends waits for the client to read.</summary>
    private const int HighWater = 64 * 1024;

    private readonly Lock _gate = new();
    private MessageWriter _pending = new();
    private MessageWriter _writing = new();
    private TaskCompletionSource? _drained;
    private bool _busy;
    private long _writes;
    private long _writesSeen;
    private long _stalledSince;
    private Exception? _failure;

    /// <summary>Appends bytes to what the next flush writes.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            _pending.Bytes(bytes);
        }
    }

    /// <summary>Appends a message to what the next flush writes.</summary>
    public void Append<TState>(TState state, Action<MessageWriter, TState> write)
    {
        lock (_gate)
        {
            write(_pending, state);
        }
    }

    /// <summary>
    /// Writes what was appended. When somebody is writing already, he goes on with it, and this waits only while too much is unwritten.
    /// </summary>
    /// <exception cref="StreamAbortedException">The client is gone.</exception>
    public ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_failure is not null)
            {
                return ValueTask.FromException(_failure);
            }

            if (_busy)
            {
                return _pending.Count < HighWater ? ValueTask.CompletedTask : new((_drained ??= NewSource()).Task.WaitAsync(cancellationToken));
            }

            if (_pending.Count == 0)
            {
                return ValueTask.CompletedTask;
            }

            _busy = true;
        }

        // Whoever stops waiting must not stop the writing: a message that is cut in half would be the last one the client understands.
        var writing = WriteOutAsync();
        return writing.IsCompletedSuccessfully ? ValueTask.CompletedTask : new(WaitAsync(writing.AsTask(), cancellationToken));
    }

    /// <summary>
    /// Writes bytes right away, behind what was appended before, without copying them where nobody else is writing.
    /// </summary>
    /// <exception cref="StreamAbortedException">The client is gone.</exception>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (!_busy && _pending.Count == 0 && _failure is null)
            {
                _busy = true;
                return WriteThroughAsync(bytes, cancellationToken);
            }

            _pending.Bytes(bytes.Span);
        }

        return FlushAsync(cancellationToken);
    }

    /// <summary>Waits until all that was appended is written.</summary>
    /// <exception cref="StreamAbortedException">The client is gone.</exception>
    public async ValueTask DrainAsync(CancellationToken cancellationToken)
    {
        await FlushAsync(cancellationToken);
        Task? drained = null;
        lock (_gate)
        {
            if (_busy)
            {
                drained = (_drained ??= NewSource()).Task;
            }
        }

        if (drained is not null)
        {
            await drained.WaitAsync(cancellationToken);
        }
    }

    /// <summary>For how long the client has taken nothing although something is there for it. Asked every now and then, always by the same.</summary>
    public TimeSpan Stalled(TimeProvider time)
    {
        lock (_gate)
        {
            if (_busy && _writes == _writesSeen)
            {
                return time.GetElapsedTime(_stalledSince);
            }

            (_writesSeen, _stalledSince) = (_writes, time.GetTimestamp());
            return TimeSpan.Zero;
        }
    }

    /// <summary>Gives the memory back; nothing may be appended any more.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _failure ??= new StreamAbortedException(StreamAbort.Dropped, byPeer: false);
            _pending.Dispose();
            if (!_busy)
            {
                _writing.Dispose();
            }
        }
    }

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static async Task WaitAsync(Task writing, CancellationToken cancellationToken)
    {
        try
        {
            await writing.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // Its failure is kept for whoever comes next.
            _ = writing.ContinueWith(static ended => ended.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            throw;
        }
    }

    private async ValueTask WriteThroughAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            await stream.WriteAsync(bytes, cancellationToken);
        }
        catch (Exception exception)
        {
            Fail(exception);
            throw;
        }

        await WriteOutAsync();
    }

    private async ValueTask WriteOutAsync()
    {
        try
        {
            while (true)
            {
                lock (_gate)
                {
                    _writes++;
                    _writing.Clear();
                    if (_pending.Count == 0)
                    {
                        _busy = false;
                        _drained?.SetResult();
                        _drained = null;
                        return;
                    }

                    (_pending, _writing) = (_writing, _pending);
                }

                await stream.WriteAsync(_writing.Written);
            }
        }
        catch (Exception exception)
        {
            Fail(exception);
            throw;
        }
    }

    private void Fail(Exception exception)
    {
        lock (_gate)
        {
            _failure ??= exception;
            _busy = false;
            _pending.Clear();
            _writing.Clear();
            _drained?.TrySetException(exception);
            _drained = null;
        }
    }
}
