using System.Net.Sockets;
using System.Net.WebSockets;

namespace Shared.Streams.WebSockets;

/// <summary>
/// A stream over a WebSocket whose far end is any WebSocket TCP client that knows nothing of us: raw bytes in binary messages.
/// RFC 6455 has no half-close, so an end is said with a Close frame, after which such a client sends nothing more.
/// A client that vanishes without a Close frame has ended normally; text messages are refused.
/// </summary>
public sealed class RawWebSocketStream : WebSocketDuplexStream
{
    private readonly TimeProvider _time;
    private readonly TimeSpan _closeTimeout;
    private ITimer? _closeTimer;

    /// <summary>Takes over an open WebSocket; nobody else may use it any more.</summary>
    /// <param name="webSocket">The open WebSocket.</param>
    /// <param name="closeTimeout">How long the peer may take to answer our Close frame before its direction counts as ended.</param>
    /// <param name="time">The clock of that wait.</param>
    /// <param name="connectionClosed">On a web server, cancelled when the connection is gone.</param>
    public RawWebSocketStream(WebSocket webSocket, TimeSpan closeTimeout, TimeProvider time, CancellationToken connectionClosed = default)
        : base(webSocket, connectionClosed)
    {
        _closeTimeout = closeTimeout;
        _time = time;
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        if (_closeTimer is not null)
        {
            await _closeTimer.DisposeAsync();
        }

        await base.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected override async ValueTask SayEndAsync(CancellationToken cancellationToken)
    {
        try
        {
            await WebSocket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, cancellationToken);
        }
        catch (Exception exception) when (exception is WebSocketException or IOException or ObjectDisposedException)
        {
            throw Broken(LossOf(exception), exception);
        }

        if (!ReadEnded)
        {
            _closeTimer = _time.CreateTimer(
                static state => ((WebSocket)state!).Abort(), WebSocket, _closeTimeout, Timeout.InfiniteTimeSpan);
        }
    }

    // An abort has no frame of its own; the cut connection says it.
    private protected override ValueTask SayAbortAsync(StreamAbort reason, CancellationToken cancellationToken)
    {
        WebSocket.Abort();
        return ValueTask.CompletedTask;
    }

    private protected override Signal OnText(ReadOnlySpan<byte> utf8) =>
        throw Broken(new StreamAbort(AbortCode.ProtocolError, "a text message; only binary messages carry bytes here"));

    private protected override Signal OnClose() => Signal.End;

    private protected override StreamAbort? OnTransportLost(Exception exception)
    {
        for (var cause = exception; cause is not null; cause = cause.InnerException!)
        {
            if (cause is SocketException { SocketErrorCode: SocketError.ConnectionReset })
            {
                return StreamAbort.Reset;
            }
        }

        return exception is WebSocketException { WebSocketErrorCode: WebSocketError.Faulted } ? LossOf(exception) : null;
    }
}
