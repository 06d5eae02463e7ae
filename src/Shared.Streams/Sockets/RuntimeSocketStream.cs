using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Shared.Streams.Sockets;

/// <summary>
/// A socket that the runtime waits for, on systems without epoll. One read and one write wait at most, so one object each does for all of
/// them: an async method's would be taken from a small cache for each wait, and when thousands wait, most are made anew.
/// </summary>
/// <param name="socket">The socket.</param>
/// <param name="time">The clock of lingering; the system's without.</param>
internal sealed class RuntimeSocketStream(Socket socket, TimeProvider? time = null) : SocketStream(socket, time)
{
    private PendingRead? _pendingRead;
    private PendingWrite? _pendingWrite;

    private protected override ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var receiving = Socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken);
        return receiving.IsCompletedSuccessfully
            ? new(Received(receiving.Result, buffer.IsEmpty))
            : (_pendingRead ??= new PendingRead(this)).WaitAsync(receiving, buffer.IsEmpty);
    }

    private protected override ValueTask SendRestAsync(ReadOnlyMemory<byte> rest, CancellationToken cancellationToken) =>
        (_pendingWrite ??= new PendingWrite(this)).SendAsync(rest, cancellationToken);

    private protected override void BeginLinger()
    {
    }

    private protected override async ValueTask WaitReadableAsync(CancellationToken cancellationToken) =>
        await Socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, cancellationToken);

    private protected override void StopWatching()
    {
    }

    private protected override void OnClosed()
    {
    }

    // The runtime ends the waits of a socket that is closed.
    private protected override void EndWaits()
    {
    }

    /// <summary>The read that waits.</summary>
    private sealed class PendingRead : SocketWait<int>
    {
        private readonly RuntimeSocketStream _stream;
        private readonly Action _onReceived;
        private ValueTaskAwaiter<int> _receiving;
        private bool _onlyWaits;

        public PendingRead(RuntimeSocketStream stream)
        {
            _stream = stream;
            _onReceived = OnReceived;
        }

        public ValueTask<int> WaitAsync(ValueTask<int> receiving, bool onlyWaits)
        {
            var token = Reset();
            _onlyWaits = onlyWaits;
            _receiving = receiving.GetAwaiter();
            _receiving.UnsafeOnCompleted(_onReceived);
            return new(this, token);
        }

        private void OnReceived()
        {
            int count;
            try
            {
                count = _stream.Received(_receiving.GetResult(), _onlyWaits);
            }
            catch (Exception exception)
            {
                Fail(_stream.Translate(exception));
                return;
            }

            Complete(count);
        }
    }

    /// <summary>The write of which the system has not taken everything yet.</summary>
    private sealed class PendingWrite : SocketWait<bool>
    {
        private readonly RuntimeSocketStream _stream;
        private readonly Action _onSent;
        private ValueTaskAwaiter<int> _sending;
        private ReadOnlyMemory<byte> _rest;
        private CancellationToken _cancellationToken;

        public PendingWrite(RuntimeSocketStream stream)
        {
            _stream = stream;
            _onSent = OnSent;
        }

        public ValueTask SendAsync(ReadOnlyMemory<byte> rest, CancellationToken cancellationToken)
        {
            var token = Reset();
            (_rest, _cancellationToken) = (rest, cancellationToken);
            Send();
            return new(this, token);
        }

        /// <summary>Sends until the socket makes wait, or everything is sent.</summary>
        private void Send()
        {
            try
            {
                while (!_rest.IsEmpty)
                {
                    if (!IsSent(_stream.Socket.SendAsync(_rest, SocketFlags.None, _cancellationToken)))
                    {
                        _sending.UnsafeOnCompleted(_onSent);
                        return;
                    }

                    _rest = _rest[_sending.GetResult()..];
                }
            }
            catch (Exception exception)
            {
                GiveUp(exception);
                return;
            }

            Complete(true);
        }

        private bool IsSent(ValueTask<int> sending)
        {
            _sending = sending.GetAwaiter();
            return _sending.IsCompleted;
        }

        private void OnSent()
        {
            try
            {
                _rest = _rest[_sending.GetResult()..];
            }
            catch (Exception exception)
            {
                GiveUp(exception);
                return;
            }

            Send();
        }

        private void GiveUp(Exception exception)
        {
            _rest = default;
            Fail(_stream.Translate(exception));
        }
    }
}
