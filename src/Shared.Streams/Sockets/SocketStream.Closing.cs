using System.Buffers;
using System.Net.Sockets;

namespace Shared.Streams.Sockets;

/// <content>The ways a socket is closed: with a reset, at once, or after what was said last has reached the peer.</content>
public abstract partial class SocketStream
{
    private const int DiscardBuffer = 16 * 1024;
    private const int MaxDiscards = 64;

    private static readonly TimeSpan LingerTimeout = TimeSpan.FromSeconds(2);

    private int _disposed;
    private int _closed;

    /// <summary>What there is to receive after some was thrown away.</summary>
    private enum Left
    {
        Nothing,
        Bytes,
        End,
    }

    /// <inheritdoc/>
    public sealed override async ValueTask DisposeAsync()
    {
        if (!_writesCompleted)
        {
            Abort(StreamAbort.Dropped);
        }

        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            if (!_readEnded && _abort.TrySet(StreamAbort.Dropped, byPeer: false))
            {
                EndWaits();
                await LingerAsync();
            }

            Close();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>Closes the socket at once and without a reset of ours, for a connection on which nothing was said that could be lost.</summary>
    public void Close()
    {
        Socket.Dispose();
        OnClosed();
        EndWaits();
    }

    /// <summary>
    /// Takes what still comes until the peer has seen our end and closed: closing a socket with bytes that were not read makes the kernel
    /// send a reset, and that may destroy at the peer what we wrote last.
    /// </summary>
    private async Task LingerAsync()
    {
        try
        {
            // Mostly the peer has closed by now, after what he said last.
            if (Discard() == Left.End)
            {
                return;
            }

            using var limit = new CancellationTokenSource(LingerTimeout, _time);
            BeginLinger();
            while (Discard() is var left && left != Left.End)
            {
                if (left == Left.Nothing)
                {
                    await WaitReadableAsync(limit.Token);
                }
                else
                {
                    await Task.Yield();
                    limit.Token.ThrowIfCancellationRequested();
                }
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // The peer is gone, or takes its time to close: this was the last courtesy.
        }
    }

    /// <summary>Receives and throws away, but not for ever: others of this thread have their turn, too.</summary>
    /// <exception cref="SocketException">It broke; or <see cref="ObjectDisposedException"/>: it is closed.</exception>
    private Left Discard()
    {
        var buffer = ArrayPool<byte>.Shared.Rent(DiscardBuffer);
        try
        {
            for (var reads = 0; reads < MaxDiscards; reads++)
            {
                var count = Socket.Receive(buffer, SocketFlags.None, out var error);
                switch (error)
                {
                    case SocketError.Success when count > 0:
                        break;
                    case SocketError.Success:
                        return Left.End;
                    case SocketError.WouldBlock:
                        return Left.Nothing;
                    default:
                        throw new SocketException((int)error);
                }
            }

            return Left.Bytes;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void CloseWithReset()
    {
        if (Interlocked.Exchange(ref _closed, 1) != 0)
        {
            return;
        }

        try
        {
            if (Socket.ProtocolType == ProtocolType.Tcp)
            {
                Socket.LingerState = new LingerOption(enable: true, seconds: 0);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The connection is gone already, so there is nobody left to send a reset to.
        }

        Close();
    }

    /// <summary>From here on, what is heard of the socket is for <see cref="WaitReadableAsync"/>.</summary>
    private protected abstract void BeginLinger();

    /// <summary>Waits until there may be something to receive, for a stream that is disposed of.</summary>
    /// <inheritdoc cref="ReceiveAsync" path="/exception"/>
    private protected abstract ValueTask WaitReadableAsync(CancellationToken cancellationToken);
}
