using System.Net.Security;
using System.Runtime.CompilerServices;
using System.Security.Authentication;

namespace Shared.Streams.Tls;

/// <summary>
/// TLS over any stream. End is close_notify and then the end of the stream underneath; a stream that ends without close_notify was
/// truncated, which is an abort (RFC 8446 section 6.1).
/// </summary>
public sealed class TlsStream : DuplexStream
{
    private readonly DuplexStream _inner;
    private readonly InnerStream _transport;
    private readonly SslStream _tls;
    private StreamAbortedException? _abort;
    private int _disposed;
    private volatile bool _readEnded;
    private volatile bool _writesCompleted;

    private TlsStream(DuplexStream inner)
    {
        _inner = inner;
        _transport = new InnerStream(inner);
        _tls = new SslStream(_transport, leaveInnerStreamOpen: true);
    }

    /// <summary>The session, for certificates and protocol versions; not for reading or writing.</summary>
    public SslStream Session => _tls;

    /// <summary>Shakes hands as a client; takes over the stream, which is aborted when that fails.</summary>
    /// <exception cref="AuthenticationException">The peer's certificate does not verify, or the handshake failed.</exception>
    /// <exception cref="IOException">The stream underneath broke.</exception>
    public static async Task<TlsStream> ConnectAsync(DuplexStream inner, SslClientAuthenticationOptions options, CancellationToken cancellationToken)
    {
        var stream = new TlsStream(inner);
        await stream.HandshakeAsync(tls => tls.AuthenticateAsClientAsync(options, cancellationToken));
        return stream;
    }

    /// <summary>Shakes hands as a server; takes over the stream, which is aborted when that fails.</summary>
    /// <inheritdoc cref="ConnectAsync" path="/exception"/>
    public static async Task<TlsStream> AcceptAsync(DuplexStream inner, SslServerAuthenticationOptions options, CancellationToken cancellationToken)
    {
        var stream = new TlsStream(inner);
        await stream.HandshakeAsync(tls => tls.AuthenticateAsServerAsync(options, cancellationToken));
        return stream;
    }

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_readEnded)
        {
            return 0;
        }

        ThrowIfAborted();
        int count;
        try
        {
            count = await _tls.ReadAsync(buffer, cancellationToken);
        }
        catch (Exception exception) when (IsFailure(exception))
        {
            throw Broken(ReasonOf(exception), exception);
        }

        if (count == 0 && !buffer.IsEmpty)
        {
            ThrowIfAborted();
            _readEnded = !_transport.EndReached
                ? true
                : throw Broken(new StreamAbort(AbortCode.Truncated, "TLS ended without close_notify"), null);
        }

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

        ThrowIfAborted();

        // SslStream would send an empty record.
        if (buffer.IsEmpty)
        {
            return;
        }

        try
        {
            await _tls.WriteAsync(buffer, cancellationToken);
        }
        catch (Exception exception) when (IsFailure(exception))
        {
            throw Broken(ReasonOf(exception), exception);
        }
    }

    /// <inheritdoc/>
    public override async ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default)
    {
        if (_writesCompleted)
        {
            return;
        }

        ThrowIfAborted();
        _writesCompleted = true;
        try
        {
            await _tls.ShutdownAsync();
            await _inner.CompleteWritesAsync(cancellationToken);
        }
        catch (Exception exception) when (IsFailure(exception))
        {
            throw Broken(ReasonOf(exception), exception);
        }
    }

    /// <inheritdoc/>
    public override void Abort(StreamAbort reason)
    {
        if (Volatile.Read(ref _disposed) == 0
            && Interlocked.CompareExchange(ref _abort, new StreamAbortedException(reason, byPeer: false), null) is null)
        {
            _inner.Abort(reason);
        }
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (!_writesCompleted)
        {
            Abort(new StreamAbort(AbortCode.Dropped, "dropped before its end"));
        }

        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            await _inner.DisposeAsync();
            await _tls.DisposeAsync();
            await _transport.DisposeAsync();
        }

        GC.SuppressFinalize(this);
    }

    private async Task HandshakeAsync(Func<SslStream, Task> authenticate)
    {
        try
        {
            await authenticate(_tls);
        }
        catch
        {
            Abort(new StreamAbort(AbortCode.ProtocolError, "the TLS handshake failed"));
            await DisposeAsync();
            throw;
        }
    }

    private static bool IsFailure(Exception exception) =>
        exception is IOException or AuthenticationException or ObjectDisposedException or InvalidOperationException;

    private static StreamAbort ReasonOf(Exception exception) => exception switch
    {
        StreamAbortedException aborted => aborted.Reason,
        { InnerException: StreamAbortedException aborted } => aborted.Reason,
        ObjectDisposedException => new StreamAbort(AbortCode.Dropped, "the stream is disposed"),
        _ => new StreamAbort(AbortCode.ProtocolError, "the TLS session failed"),
    };

    private void ThrowIfAborted()
    {
        if (Volatile.Read(ref _abort) is { } abort)
        {
            throw new StreamAbortedException(abort.Reason, abort.ByPeer, abort.InnerException);
        }
    }

    private StreamAbortedException Broken(StreamAbort reason, Exception? cause)
    {
        var first = Interlocked.CompareExchange(ref _abort, new StreamAbortedException(reason, byPeer: true, cause), null);
        if (first is null)
        {
            _inner.Abort(reason);
        }

        var abort = _abort!;
        return new StreamAbortedException(abort.Reason, abort.ByPeer, abort.InnerException);
    }
}
