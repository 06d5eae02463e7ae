using System.Net.Sockets;

namespace Shared.Streams.Sockets.Epoll;

/// <summary>
/// A socket that an <see cref="EpollLoop"/> waits for: from the first time that there is something to wait for. It is read until it gives less
/// than was asked for, and then not before the loop has heard of more (epoll(7), edge-triggered).
/// </summary>
internal sealed class EpollSocketStream : SocketStream, IEpollTarget
{
    private const EpollEvents ForReading = EpollEvents.Readable | EpollEvents.Urgent | EpollEvents.PeerEnded;
    private const EpollEvents ForBoth = ForReading | EpollEvents.Writable;
    private const EpollEvents EndOrError = EpollEvents.PeerEnded | EpollEvents.HangUp | EpollEvents.Error;

    private readonly Lock _watching = new();
    private readonly EpollRead _read;
    private EpollWrite? _write;
    private volatile EpollLinger? _linger;
    private EpollLoop? _loop;
    private volatile EpollEvents _watched;

    /// <summary>The reader's: a receive may give something, whatever the loop has heard.</summary>
    private bool _mayHaveMore = true;

    /// <summary>
    /// There is an end, an error or an urgent mark: what a receive gives is not all that there is, although it is less than was asked for.
    /// </summary>
    private volatile bool _mayStopShort;

    /// <summary>Takes over a socket.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="loop">Who waits for it; without, whoever <see cref="EpollLoop.ForNewSocket"/> says when there is something to wait for.</param>
    /// <param name="time">The clock of lingering; the system's without.</param>
    public EpollSocketStream(Socket socket, EpollLoop? loop = null, TimeProvider? time = null)
        : base(socket, time) => (_read, _loop) = (new EpollRead(this), loop);

    ulong IEpollTarget.Key { get; set; }

    void IEpollTarget.OnEvents(EpollEvents events)
    {
        if ((events & (EndOrError | EpollEvents.Urgent)) != 0)
        {
            _mayStopShort = true;
        }

        if ((events & (EpollEvents.Readable | EpollEvents.Urgent | EndOrError)) != 0)
        {
            _read.OnReady();
            _linger?.OnReady();
        }

        if ((events & (EpollEvents.Writable | EpollEvents.HangUp | EpollEvents.Error)) != 0)
        {
            _write?.OnReady();
        }
    }

    /// <summary>Completes when a connection that was begun is made, or has failed: <see cref="SocketOptionName.Error"/> tells.</summary>
    public ValueTask WaitConnectedAsync(CancellationToken cancellationToken) => Write.SendAsync(default, cancellationToken);

    private EpollWrite Write => _write ??= new EpollWrite(this);

    private protected override ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        TryReceive(buffer.Span, out var count) ? new(count) : _read.ReceiveAsync(buffer, cancellationToken);

    private protected override ValueTask SendRestAsync(ReadOnlyMemory<byte> rest, CancellationToken cancellationToken) =>
        Write.SendAsync(rest, cancellationToken);

    private protected override void StopWatching()
    {
        if (_loop is { } loop && _watched != EpollEvents.None)
        {
            loop.Release(this, Socket.SafeHandle);
        }
    }

    private protected override void OnClosed() => _loop?.Forget(this);

    private protected override void EndWaits()
    {
        _read.OnAborted();
        _write?.OnAborted();
        _linger?.OnAborted();
    }

    private protected override void BeginLinger() => _linger = new EpollLinger(this);

    private protected override ValueTask WaitReadableAsync(CancellationToken cancellationToken) => _linger!.WaitAsync(cancellationToken);

    /// <summary>Receives what there is since the loop has heard of it; false when there is nothing.</summary>
    /// <exception cref="SocketException">It broke.</exception>
    internal bool TryReceiveHeard(Span<byte> buffer, out int count)
    {
        _mayHaveMore = true;
        if (buffer.IsEmpty)
        {
            count = 0;
            return true;
        }

        return TryReceiveNow(buffer, out count);
    }

    private bool TryReceive(Span<byte> buffer, out int count)
    {
        var heard = _read.TryTakeHeard();
        if (buffer.IsEmpty)
        {
            count = 0;
            return _mayHaveMore = (heard || _mayHaveMore) && (_mayStopShort || Socket.Available > 0);
        }

        count = 0;
        return (heard || _mayHaveMore) && TryReceiveNow(buffer, out count);
    }

    private bool TryReceiveNow(Span<byte> buffer, out int count)
    {
        count = Socket.Receive(buffer, SocketFlags.None, out var error);
        if (error is not (SocketError.Success or SocketError.WouldBlock))
        {
            throw new SocketException((int)error);
        }

        // Less than was asked for is all that there was, unless something is behind it of which the loop does not tell again.
        _mayHaveMore = error == SocketError.Success && (count == buffer.Length || _mayStopShort);
        if (error == SocketError.WouldBlock)
        {
            return false;
        }

        // The system tells an error to one of reading and writing only, and an end to the other. Behind the peer's end it is a shutdown.
        if (count == 0 && SendError is not (SocketError.Success or SocketError.Shutdown))
        {
            throw new SocketException((int)SendError);
        }

        count = Received(count, onlyWaited: false);
        return true;
    }

    /// <summary>Lets the loop watch for one direction.</summary>
    /// <exception cref="SocketException">It cannot; or <see cref="ObjectDisposedException"/>: it is closed.</exception>
    internal void Watch(bool writes)
    {
        var wanted = writes ? ForBoth : ForReading;
        if ((_watched & wanted) == wanted)
        {
            return;
        }

        lock (_watching)
        {
            _loop ??= EpollLoop.ForNewSocket();
            _loop.Watch(this, Socket.SafeHandle, _watched | wanted);
            _watched |= wanted;
        }
    }
}
