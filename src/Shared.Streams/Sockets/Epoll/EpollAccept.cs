using System.Net.Sockets;

namespace Shared.Streams.Sockets.Epoll;

/// <summary>
/// Waits for connections to a listening socket. Whoever waited goes on on the loop's thread, so that a connection costs no other one's wake-up.
/// </summary>
internal sealed class EpollAccept : EpollWait<Socket>, IEpollTarget
{
    private readonly Socket _socket;
    private EpollLoop? _loop;
    private bool _isWatched;
    private volatile bool _closed;

    public EpollAccept(Socket socket)
    {
        _socket = socket;
        socket.Blocking = false;
    }

    ulong IEpollTarget.Key { get; set; }

    protected override bool IsAborted => _closed;

    void IEpollTarget.OnEvents(EpollEvents events) => OnReady();

    /// <summary>Accepts what is there, or waits for it. One wait at a time.</summary>
    /// <exception cref="SocketException">Accepting failed.</exception>
    /// <exception cref="ObjectDisposedException">The socket was closed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public ValueTask<Socket> AcceptAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ObjectDisposedException.ThrowIf(_closed, this);
        return TryGo(out var accepted) ? new(accepted) : new(this, Begin(cancellationToken));
    }

    /// <summary>To be called when the socket is closed.</summary>
    public void OnClosed()
    {
        _closed = true;
        _loop?.Forget(this);
        OnAborted();
    }

    // It is asked first whether there is one: being refused would be an exception after each connection.
    protected override bool TryGo(out Socket result)
    {
        result = null!;
        if (!_socket.Poll(0, SelectMode.SelectRead))
        {
            return false;
        }

        try
        {
            result = _socket.Accept();
            return true;
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.WouldBlock)
        {
            // It went away meanwhile.
            return false;
        }
    }

    protected override void Watch()
    {
        if (!_isWatched)
        {
            _loop ??= EpollLoop.ForNewSocket();
            _loop.Watch(this, _socket.SafeHandle, EpollEvents.Readable);
            _isWatched = true;
        }
    }
}
