using System.Threading.Tasks.Sources;
using Shared.Streams.Protocol;

namespace Shared.Streams.Multiplexing;

/// <content>The receiving direction: what the carrier's loop hands over, and the one read that may wait for it.</content>
public sealed partial class MultiplexedStream : IValueTaskSource<int>
{
    private readonly ReceiveQueue _queue = new();
    private readonly ReceiveWindow _window;
    private ManualResetValueTaskSourceCore<int> _read;
    private Memory<byte> _readBuffer;
    private bool _reading;

    /// <summary>What the carrier's loop hands over at this moment; what a reader leaves of it goes into the queue.</summary>
    private ReadOnlyMemory<byte> _arriving;

    private volatile bool _peerEnded;
    private volatile bool _hasReadEnd;
    private StreamAbort? _peerReset;

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        cancellationToken.CanBeCanceled ? ReadCancellableAsync(buffer, cancellationToken) : Read(buffer);

    int IValueTaskSource<int>.GetResult(short token) => _read.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _read.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _read.OnCompleted(continuation, state, token, flags);

    /// <summary>Bytes have arrived. The reader, if there is one, goes on before this returns.</summary>
    /// <exception cref="ProtocolException">The peer had no right to send them.</exception>
    internal void OnData(ReadOnlyMemory<byte> bytes)
    {
        int result, credit = 0;
        lock (_gate)
        {
            if (_peerEnded || !_window.TryReceive(bytes.Length))
            {
                throw new ProtocolException(_peerEnded ? "bytes after the end of a stream" : "bytes beyond the credit of a stream");
            }

            if (_abort.IsSet)
            {
                return;
            }

            if (!_reading)
            {
                _queue.Append(bytes.Span);
                return;
            }

            result = Math.Min(bytes.Length, _readBuffer.Length);
            bytes.Span[..result].CopyTo(_readBuffer.Span);
            _arriving = bytes[result..];
            _reading = false;
            if (result > 0)
            {
                credit = _window.Consume(result, _multiplexer.RoundTrip);
            }
        }

        Grant(credit);
        _read.SetResult(result);
        lock (_gate)
        {
            if (_abort.IsSet)
            {
                _arriving = default;
            }

            _queue.Append(_arriving.Span);
            _arriving = default;
        }
    }

    /// <summary>The peer has ended its direction.</summary>
    /// <exception cref="ProtocolException">It had ended it before.</exception>
    internal void OnEnd()
    {
        bool wake;
        lock (_gate)
        {
            if (_peerEnded)
            {
                throw new ProtocolException("a second end of a stream");
            }

            _peerEnded = true;
            wake = _reading;
            _reading = false;
            if (wake && !_readBuffer.IsEmpty)
            {
                HaveReadEnd();
            }
        }

        ForgetWhenEnded();
        if (wake)
        {
            _read.SetResult(0);
        }
    }

    /// <summary>
    /// The peer has aborted the stream. What an application or a target did keeps its order with the bytes before it; what a program on
    /// the way decided takes effect at once.
    /// </summary>
    internal void OnReset(StreamAbort reason)
    {
        lock (_gate)
        {
            if (reason.Code is AbortCode.Reset or AbortCode.Dropped && !_hasReadEnd && (!_queue.IsEmpty || _peerEnded))
            {
                _peerReset = reason;
            }
        }

        if (_peerReset is null)
        {
            OnLost(reason, null);
        }
        else
        {
            _multiplexer.Forget(this);
            FailAnswer(new StreamAbortedException(reason, byPeer: true));
            _mayWrite.Set();
        }
    }

    private ValueTask<int> Read(Memory<byte> buffer)
    {
        int count, credit = 0;
        lock (_gate)
        {
            if (_reading)
            {
                throw new InvalidOperationException("Another read is outstanding on this stream.");
            }

            if (_hasReadEnd)
            {
                return ValueTask.FromResult(0);
            }

            _abort.ThrowIfSet();
            if (_queue.IsEmpty && _arriving.IsEmpty && !_peerEnded && _peerReset is null)
            {
                _reading = true;
                _readBuffer = buffer;
                _read.Reset();
                _read.RunContinuationsAsynchronously = false;
                return new ValueTask<int>(this, _read.Version);
            }

            count = Take(buffer.Span);
            if (count > 0)
            {
                credit = _window.Consume(count, _multiplexer.RoundTrip);
            }
        }

        Grant(credit);
        return ValueTask.FromResult(count);
    }

    private async ValueTask<int> ReadCancellableAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();

        // The reader comes first, so that a cancellation finds it.
        var reading = Read(buffer);
        using var cancellation = cancellationToken.UnsafeRegister(
            static (state, token) => ((MultiplexedStream)state!).FailReader(new OperationCanceledException(token)), this);
        return await reading;
    }

    /// <summary>Takes bytes, or the end or the reset after them. Under the lock.</summary>
    private int Take(Span<byte> destination)
    {
        if (!_queue.IsEmpty)
        {
            return _queue.Read(destination);
        }

        if (!_arriving.IsEmpty)
        {
            var count = Math.Min(destination.Length, _arriving.Length);
            _arriving.Span[..count].CopyTo(destination);
            _arriving = _arriving[count..];
            return count;
        }

        if (_peerEnded)
        {
            if (!destination.IsEmpty)
            {
                HaveReadEnd();
            }

            return 0;
        }

        _window.Close();
        _abort.TrySet(_peerReset!.Value, byPeer: true);
        throw _abort.ToException();
    }

    /// <summary>Nothing comes any more. Under the lock.</summary>
    private void HaveReadEnd()
    {
        _hasReadEnd = true;
        _window.Close();
    }

    private void DropReceived()
    {
        lock (_gate)
        {
            _window.Close();
            _queue.Clear();
            _arriving = default;
        }
    }

    private void FailReader(Exception exception)
    {
        lock (_gate)
        {
            if (!_reading)
            {
                return;
            }

            _reading = false;
        }

        // Whoever aborts or cancels may hold locks of his own.
        _read.RunContinuationsAsynchronously = true;
        _read.SetException(exception);
    }

    private void Grant(int credit)
    {
        if (credit > 0 && !_peerEnded)
        {
            _multiplexer.SendCredit(Id, credit);
        }
    }
}
