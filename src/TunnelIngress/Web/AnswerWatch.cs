using System.Runtime.CompilerServices;

namespace TunnelIngress.Web;

/// <summary>What a connection does for real.</summary>
internal interface IConnectionBytes
{
    /// <inheritdoc cref="Stream.ReadAsync(Memory{byte}, CancellationToken)"/>
    ValueTask<int> ReadBytesAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    /// <inheritdoc cref="Stream.WriteAsync(ReadOnlyMemory{byte}, CancellationToken)"/>
    ValueTask WriteBytesAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken);
}

/// <summary>
/// Listens to an HTTP/1.1 origin while an <see cref="Upload"/> is sent to it. When the origin answers with an error or a redirection before it has the whole body,
/// the rest is dropped, so that the HTTP client comes to read the answer, and the answer is given a <c>Connection: close</c>, because nobody could
/// say where on this connection a next request would begin. One reader and one writer, as the connection has.
/// </summary>
internal sealed class AnswerWatch(IConnectionBytes connection)
{
    private const int HeadLength = 4 * 1024;
    private const int FirstRefusal = 300;

    /// <summary>One that waits for it, and one that takes it.</summary>
    private const int ReadsOfOneAnswer = 2;

    private readonly Lock _gate = new();
    private byte[]? _head;
    private int _headStart;
    private int _headEnd;
    private Upload? _upload;
    private Task? _watching;
    private TaskCompletionSource? _readEnded;
    private bool _isBeingRead;
    private volatile bool _isSent;
    private volatile bool _awaitsAnswer;

    private static ReadOnlySpan<byte> Close => "Connection: close\r\n"u8;

    /// <summary>Reads for the HTTP client.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (BeginRead(buffer, out var fromHead) is { } watching)
        {
            await watching.WaitAsync(cancellationToken);
            if (fromHead is { } count)
            {
                return count;
            }
        }

        try
        {
            // The client reads ahead on an idle connection: what comes may be the answer to an upload that begins meanwhile.
            var count = await connection.ReadBytesAsync(buffer.Length > HeadLength / 2 ? buffer[..^Close.Length] : buffer, cancellationToken);
            return count > 0 && _awaitsAnswer ? Inspect(buffer.Span, count) : count;
        }
        finally
        {
            EndRead();
        }
    }

    /// <summary>Writes for the HTTP client.</summary>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        if (Upload.Current is not { } upload)
        {
            return connection.WriteBytesAsync(buffer, cancellationToken);
        }

        lock (_gate)
        {
            if (!ReferenceEquals(_upload, upload))
            {
                // The headers.
                _upload = upload;
                _isSent = false;
                _awaitsAnswer = true;
            }

            if (upload.IsRefused)
            {
                return ValueTask.CompletedTask;
            }

            if (!_isBeingRead && !upload.IsRead)
            {
                _watching ??= WatchAsync();
            }
        }

        return WriteWatchedAsync(upload, buffer, cancellationToken);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteWatchedAsync(Upload upload, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        var isLast = upload.IsRead;
        try
        {
            await connection.WriteBytesAsync(buffer, cancellationToken);
            _isSent |= isLast;
        }
        catch (IOException)
        {
            // An origin that says no and closes: what it said is still to be read.
            for (var i = 0; i < ReadsOfOneAnswer && !upload.IsRefused; i++)
            {
                await WhenReadAsync().WaitAsync(cancellationToken);
            }

            if (!upload.IsRefused)
            {
                throw;
            }
        }
    }

    /// <summary>The end of whatever reads now; somebody does.</summary>
    private Task WhenReadAsync()
    {
        lock (_gate)
        {
            return _isBeingRead
                ? (_readEnded ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task
                : _watching ??= WatchAsync();
        }
    }

    private void EndRead()
    {
        lock (_gate)
        {
            _isBeingRead = false;
            _readEnded?.TrySetResult();
            _readEnded = null;
        }
    }

    /// <summary>What to wait for before reading: nothing, or the watch, which reads already or has read.</summary>
    private Task? BeginRead(Memory<byte> buffer, out int? fromHead)
    {
        fromHead = null;
        lock (_gate)
        {
            if (_watching is { IsCompleted: false })
            {
                return _watching;
            }

            _watching = null;
            if (_headStart < _headEnd)
            {
                fromHead = Math.Min(buffer.Length, _headEnd - _headStart);
                _head.AsMemory(_headStart, fromHead.Value).CopyTo(buffer);
                _headStart += fromHead.Value;
                return Task.CompletedTask;
            }

            _isBeingRead = true;
            return null;
        }
    }

    private async Task WatchAsync()
    {
        _head ??= new byte[HeadLength];
        (_headStart, _headEnd) = (0, 0);
        try
        {
            var count = await connection.ReadBytesAsync(_head.AsMemory(..^Close.Length), CancellationToken.None);
            _headEnd = count > 0 ? Inspect(_head, count) : 0;
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException)
        {
            // Whoever reads or writes next finds it so.
        }
    }

    /// <summary>Looks for a refusal in the first bytes of an answer, and marks it as the connection's last.</summary>
    /// <returns>How many bytes there are now.</returns>
    private int Inspect(Span<byte> bytes, int count)
    {
        for (var start = 0; start < count;)
        {
            var answer = bytes[start..count];
            var line = answer.IndexOf("\r\n"u8);
            if (line < "HTTP/1.1 200".Length || !answer.StartsWith("HTTP/1."u8) || !int.TryParse(answer.Slice("HTTP/1.1 ".Length, 3), out var status))
            {
                break;
            }

            if (status < 200)
            {
                // An interim answer; the next one begins after its headers.
                var end = answer.IndexOf("\r\n\r\n"u8);
                start = end < 0 ? count : start + end + 4;
                if (start == count)
                {
                    return count;
                }

                continue;
            }

            // Who has the whole body refuses a request, not an upload: such a connection can be used again.
            if (status < FirstRefusal || _isSent || count + Close.Length > bytes.Length)
            {
                break;
            }

            var headers = start + line + 2;
            bytes[headers..count].CopyTo(bytes[(headers + Close.Length)..]);
            Close.CopyTo(bytes[headers..]);
            _awaitsAnswer = false;
            _upload!.Refuse(status);
            return count + Close.Length;
        }

        _awaitsAnswer = false;
        return count;
    }
}
