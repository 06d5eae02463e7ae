using System.Runtime.CompilerServices;

namespace TunnelIngress.Web;

/// <summary>
/// A request's body as its forwarder reads it. After a refusal it ends at once; one of a known length is filled up with zeros, which its
/// connection drops. One reader.
/// </summary>
/// <param name="body">The body as the client sends it.</param>
/// <param name="length">Its length, if the client says so.</param>
/// <param name="upload">Who is told, and who tells.</param>
internal sealed class UploadBody(Stream body, long? length, Upload upload) : Stream
{
    private CancellationTokenRegistration _requestOver;
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
            return FillUp(buffer);
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
            return FillUp(buffer);
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

    private int FillUp(Memory<byte> buffer)
    {
        var count = (int)Math.Min(buffer.Length, length - _read ?? 0);
        buffer.Span[..count].Clear();
        _read += count;
        return count;
    }
}
