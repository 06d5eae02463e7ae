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
    /// <summary>What one record carries (RFC 8446 section 5.1).</summary>
    private const int MaxPlaintext = 16 * 1024;

    private readonly DuplexStream _inner;
    private readonly InnerStream _transport;
    private readonly SslStream _tls;
    private readonly AbortLatch _abort = new();
    private int _disposed;
    private volatile bool _readEnded;
    private volatile bool _writesCompleted;

    private TlsStream(DuplexStream inner)
    {
        _inner = inner;
        _transport = new InnerStream(inner);
        _tls = new SslStream(_transport, leaveInnerStreamOpen: true);
    }

    /// <inheritdoc/>
    public override bool IsLeaving => _inner.IsLeaving;

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

    /// <summary>Shakes hands as a server with the options for the name that the client asks for; empty when it names none.</summary>
    /// <inheritdoc cref="ConnectAsync" path="/exception"/>
    public static async Task<TlsStream> AcceptAsync(
        DuplexStream inner, Func<string, SslServerAuthenticationOptions> select, CancellationToken cancellationToken)
    {
        var stream = new TlsStream(inner);
        await stream.HandshakeAsync(tls => tls.AuthenticateAsServerAsync(
            static (_, hello, state, _) => new(((Func<string, SslServerAuthenticationOptions>)state!)(hello.ServerName)), select, cancellationToken));
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

        _abort.ThrowIfSet();
        int count;
        await _transport.Session.WaitAsync(cancellationToken);
        try
        {
            count = await _tls.ReadAsync(buffer, cancellationToken);

            // As long as the next record is here as a whole, it is to be had without waiting.
            while (count > 0 && buffer.Length - count >= MaxPlaintext && _transport.Buffer.Ahead >= TransportBuffer.LargestRecord)
            {
                var more = await _tls.ReadAsync(buffer[count..], cancellationToken);
                if (more == 0)
                {
                    // After a close_notify nothing is read any more, whatever has come behind it. The next read says so.
                    break;
                }

                count += more;
            }
        }
        catch (Exception exception) when (IsFailure(exception))
        {
            throw Broken(exception);
        }
        finally
        {
            _transport.Session.Release();
        }

        if (count == 0 && !buffer.IsEmpty)
        {
            _abort.ThrowIfSet();
            if (_transport.EndReached)
            {
                throw Broken(Truncated);
            }

            _readEnded = true;
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

        _abort.ThrowIfSet();

        // SslStream would send an empty record.
        if (buffer.IsEmpty)
        {
            return;
        }

        try
        {
            if (buffer.Length <= MaxPlaintext)
            {
                await _tls.WriteAsync(buffer, cancellationToken);
                return;
            }

            _transport.Buffer.BeginGathering();
            await _tls.WriteAsync(buffer, cancellationToken);
            await _transport.Buffer.FlushAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // Nobody knows how much of it is on its way, so nothing may follow.
            Abort(StreamAbort.Dropped);
            throw;
        }
        catch (Exception exception) when (IsFailure(exception))
        {
            throw Broken(exception);
        }
    }

    /// <inheritdoc/>
    public override async ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default)
    {
        if (_writesCompleted)
        {
            return;
        }

        _abort.ThrowIfSet();
        _writesCompleted = true;
        try
        {
            Task closeNotify;
            await _transport.Session.WaitAsync(cancellationToken);
            try
            {
                // The record is made before the first wait of this method; from then on it is only sent.
                closeNotify = _tls.ShutdownAsync();
            }
            finally
            {
                _transport.Session.Release();
            }

            await closeNotify;
            await _inner.CompleteWritesAsync(cancellationToken);
        }
        catch (Exception exception) when (IsFailure(exception))
        {
            throw Broken(exception);
        }
    }

    /// <inheritdoc/>
    public override void Abort(StreamAbort reason)
    {
        if (Volatile.Read(ref _disposed) == 0 && _abort.TrySet(reason, byPeer: false))
        {
            _inner.Abort(reason);
        }
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (!_writesCompleted)
        {
            Abort(StreamAbort.Dropped);
        }

        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            if (!_readEnded)
            {
                _abort.TrySet(StreamAbort.Dropped, byPeer: false);
            }

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
            await Task.Yield();
            await _transport.Session.WaitAsync();
            _transport.StepsAside = true;
            await authenticate(_tls);
            _transport.StepsAside = false;
            _transport.Session.Release();
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

    private static StreamAbortedException Truncated =>
        new(new StreamAbort(AbortCode.Truncated, "TLS ended without close_notify"), byPeer: true);

    /// <summary>The one door to the aborted state from underneath: the first reason stays, the stream underneath is cut.</summary>
    private StreamAbortedException Broken(Exception cause)
    {
        var (reason, byPeer) = cause switch
        {
            StreamAbortedException aborted => (aborted.Reason, aborted.ByPeer),
            { InnerException: StreamAbortedException aborted } => (aborted.Reason, aborted.ByPeer),
            ObjectDisposedException => (StreamAbort.Dropped, false),
            _ when _transport.EndReached => (Truncated.Reason, true),
            _ => (new StreamAbort(AbortCode.ProtocolError, "the TLS session failed"), true),
        };
        if (_abort.TrySet(reason, byPeer, cause))
        {
            _inner.Abort(reason);
        }

        return _abort.ToException();
    }
}
