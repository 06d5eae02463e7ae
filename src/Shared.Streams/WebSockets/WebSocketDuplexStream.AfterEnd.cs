using System.Net.WebSockets;

namespace Shared.Streams.WebSockets;

/// <content>What a peer may still say after its end: that the stream is aborted after all.</content>
public abstract partial class WebSocketDuplexStream
{
    /// <summary>Goes on receiving after the peer's end, without a buffer, for as long as our own direction goes on. Never fails.</summary>
    private protected async Task ReceiveAfterEndAsync(Action<StreamAbortedException> onAborted)
    {
        if (Interlocked.CompareExchange(ref _reading, 1, 0) != 0)
        {
            return;
        }

        StreamAbortedException? aborted = null;
        try
        {
            await ReceiveLastWordAsync();
        }
        catch (StreamAbortedException exception)
        {
            aborted = exception;
        }
        finally
        {
            Interlocked.Exchange(ref _reading, 0);
            if (_abort.IsSet)
            {
                _lastReaderLeft.TrySetResult();
            }
        }

        if (aborted is { ByPeer: true })
        {
            onAborted(aborted);
        }
    }

    private async Task ReceiveLastWordAsync()
    {
        while (true)
        {
            ValueWebSocketReceiveResult received;
            try
            {
                received = await _webSocket.ReceiveAsync(Memory<byte>.Empty, CancellationToken.None);
            }
            catch (Exception exception) when (IsTransportFailure(exception, CancellationToken.None))
            {
                if (_writesCompleted || _abort.IsSet)
                {
                    // Both directions have ended, or it is our own doing.
                    return;
                }

                throw Broken(LossOf(exception), exception);
            }

            switch (received.MessageType)
            {
                case WebSocketMessageType.Close when _writesCompleted:
                    return;

                case WebSocketMessageType.Close:
                    OnClose();
                    return;

                // TLS reads no further than its own end; the one of its transport comes behind it.
                case WebSocketMessageType.Text when await ReadTextAsync(Memory<byte>.Empty, received, CancellationToken.None) == Signal.End && !_readEnded:
                    _readEnded = true;
                    break;

                case WebSocketMessageType.Binary when received.EndOfMessage && received.Count == 0:
                    break;

                case WebSocketMessageType.Binary when !_readEnded:
                    return;

                default:
                    throw Broken(new StreamAbort(AbortCode.ProtocolError, "something after the end of a stream that is no reset"));
            }
        }
    }
}
