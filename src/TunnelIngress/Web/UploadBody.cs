using System.Runtime.CompilerServices;

namespace TunnelIngress.Web;

/// <summary>
/// A request's body as its forwarder reads it. After a refusal it ends at once; one of a known length is filled up with zeros, which its
/// connection drops, as long as they are few: the length is whatever the client says. One reader.
/// </summary>
/// <param name="body">The body as the client sends it.</param>
/// <param name="length">Its length, if the client says so.</param>
/// <param name="upload">Who is told, and who tells.</param>
internal sealed class UploadBody(Stream body, long? length, Upload upload) : Stream
{
    /// <summary>More than this is not filled up. The rest of most bodies is less, and it takes a few hundredths of a second.</summary>
    private const long MostFilled = 128L * 1024 * 1024;

    /// <summary>So many bytes are filled at a time, before others have their turn.</summary>
    private const long FilledAtOnce = 1024 * 1024;

    private CancellationTokenRegistration _requestOver;
    private long _filled;
    private bool _isWatching;
    private long _read;

    public Upload Upload => upload;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!_isWatching)
        {
            // Whoever reads passes the same token every time.
            _isWatching = true;
            _requestOver = cancellationToken.UnsafeRegister(static upload => ((Upload)upload!).Cancel(), upload);
        }

        if (upload.IsRefused)
        {
            return await FillUpAsync(buffer, cancellationToken);
        }

        try
        {
            var count = await body.ReadAsync(buffer, upload.Stopped);
            _read += count;
            if (!buffer.IsEmpty && (count == 0 || _read == length))
            {
                upload.Finish();
            }

            return count;
        }
        catch (OperationCanceledException) when (upload.IsRefused)
        {
            return await FillUpAsync(buffer, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw;
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _requestOver.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <exception cref="IOException">It is too much.</exception>
    private async ValueTask<int> FillUpAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var left = length - _read ?? 0;
        if (left > MostFilled - _filled)
        {
            throw new IOException("The origin has refused the body, and too much of it is left.");
        }

        var count = (int)Math.Min(buffer.Length, left);
        buffer.Span[..count].Clear();
        _read += count;
        if ((_filled / FilledAtOnce) != ((_filled += count) / FilledAtOnce))
        {
            await Task.Yield();
        }

        return count;
    }
}
