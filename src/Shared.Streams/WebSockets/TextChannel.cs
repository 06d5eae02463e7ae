using System.Net.WebSockets;
using Shared.Streams.Protocol;

namespace Shared.Streams.WebSockets;

/// <summary>Whole bounded text messages over a WebSocket: what the control channel and the opening of a data channel share.</summary>
internal static class TextChannel
{
    /// <summary>Sends one message.</summary>
    /// <exception cref="IOException">The connection is lost.</exception>
    public static async ValueTask SendAsync(WebSocket webSocket, ReadOnlyMemory<byte> utf8, CancellationToken cancellationToken)
    {
        try
        {
            await webSocket.SendAsync(utf8, WebSocketMessageType.Text, WebSocketMessageFlags.EndOfMessage, cancellationToken);
        }
        catch (Exception exception) when (IsLoss(exception, cancellationToken))
        {
            throw Lost(exception);
        }
    }

    /// <summary>Waits without a buffer, then receives one message; null after the peer's Close frame.</summary>
    /// <exception cref="ProtocolException">The message is binary or larger than <paramref name="limit"/> bytes.</exception>
    /// <exception cref="IOException">The connection is lost.</exception>
    public static async ValueTask<byte[]?> ReceiveAsync(WebSocket webSocket, int limit, CancellationToken cancellationToken)
    {
        try
        {
            var received = await webSocket.ReceiveAsync(Memory<byte>.Empty, cancellationToken);
            var buffer = received.EndOfMessage ? [] : new byte[512];
            var count = 0;
            while (true)
            {
                switch (received.MessageType)
                {
                    case WebSocketMessageType.Close:
                        return null;
                    case WebSocketMessageType.Binary:
                        throw new ProtocolException("a binary message where a text message belongs");
                    default:
                        break;
                }

                count += received.Count;
                if (received.EndOfMessage)
                {
                    return buffer[..count];
                }

                if (count == buffer.Length)
                {
                    if (count >= limit)
                    {
                        throw new ProtocolException($"a text message over {limit} bytes");
                    }

                    Array.Resize(ref buffer, Math.Min(limit, count * 2));
                }

                received = await webSocket.ReceiveAsync(buffer.AsMemory(count), cancellationToken);
            }
        }
        catch (Exception exception) when (IsLoss(exception, cancellationToken))
        {
            throw Lost(exception);
        }
    }

    // A keep-alive ping without an answer surfaces as a cancellation that nobody asked for.
    private static bool IsLoss(Exception exception, CancellationToken cancellationToken) =>
        exception is WebSocketException or ObjectDisposedException or InvalidOperationException
        || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested);

    private static IOException Lost(Exception exception) => exception is OperationCanceledException
        ? new IOException("the peer did not answer a ping in time", exception)
        : new IOException("the connection was lost", exception);
}
