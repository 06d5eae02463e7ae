using System.Runtime.CompilerServices;
using Shared.Streams.Protocol;

namespace Shared.Streams.Multiplexing;

/// <summary>
/// One of the streams that share a carrier. What its peer may send is bounded by credit, so that a stream which nobody reads holds
/// a bounded number of bytes and never stalls another one. Ends and aborts are those of <see cref="ChannelMessage"/>.
/// </summary>
/// <remarks>
/// The reader goes on within the carrier's receiving loop, so it must not block. Comes from <see cref="Multiplexer"/>; goes into the relay.
/// </remarks>
public sealed partial class MultiplexedStream : DuplexStream
{
    private readonly Multiplexer _multiplexer;
    private readonly Lock _gate = new();
    private readonly AbortLatch _abort = new();
    private readonly RoomSignal _mayWrite = new();
    private readonly TaskCompletionSource<ChannelMessage> _answer = new();
    private long _credit = ReceiveWindow.Initial;
    private int _writing;
    private bool _disposed;
    private bool _writesCompleted;
    private volatile bool _leaving;

    internal MultiplexedStream(Multiplexer multiplexer, uint id, TimeProvider time)
    {
        (_multiplexer, Id) = (multiplexer, id);
        _window = new ReceiveWindow(time, multiplexer.Windows);
    }

    /// <summary>
    /// What the peer said to our <see cref="Open"/>: <see cref="Opened"/> or <see cref="Refused"/>. Fails with
    /// <see cref="StreamAbortedException"/> when the stream was aborted before. Bytes may be written without waiting for it. Whoever
    /// waits for it goes on within the carrier's receiving loop, so he must not block.
    /// </summary>
    public Task<ChannelMessage> Answer => _answer.Task;

    /// <inheritdoc/>
    public override bool IsLeaving => _leaving || _multiplexer.IsDraining;

    /// <summary>Names the stream on its carrier.</summary>
    internal uint Id { get; }

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_writesCompleted)
        {
            throw new InvalidOperationException("The writing direction of this stream has ended.");
        }

        ThrowIfGone();
        if (Interlocked.Exchange(ref _writing, 1) != 0)
        {
            throw new InvalidOperationException("Another write is outstanding on this stream.");
        }

        try
        {
            using var cancellation = cancellationToken.UnsafeRegister(static signal => ((InlineSignal)signal!).Set(), _mayWrite);
            while (!buffer.IsEmpty)
            {
                var count = TakeCredit(Math.Min(buffer.Length, TunnelProtocol.MaxPayload));
                if (count > 0 && _multiplexer.Writer.TryWriteData(Id, buffer.Span[..count], _mayWrite))
                {
                    _multiplexer.Writer.Flush();
                    buffer = buffer[count..];
                    continue;
                }

                ReturnCredit(count);
                await _mayWrite.WaitAsync();
                cancellationToken.ThrowIfCancellationRequested();
                ThrowIfGone();
            }
        }
        catch
        {
            _multiplexer.Writer.GiveUp(_mayWrite);
            throw;
        }
        finally
        {
            Volatile.Write(ref _writing, 0);
        }

        // An abort while the bytes were added means that they may not have been sent.
        ThrowIfGone();
    }

    /// <inheritdoc/>
    public override ValueTask CompleteWritesAsync(CancellationToken cancellationToken = default)
    {
        if (!_writesCompleted)
        {
            ThrowIfGone();
            _writesCompleted = true;
            _multiplexer.Send(Id, ProtocolCodec.EndBytes.Span);
            ForgetWhenEnded();
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override void Abort(StreamAbort reason)
    {
        if (!Volatile.Read(ref _disposed) && _abort.TrySet(reason, byPeer: false))
        {
            SendReset(reason);
            OnAborted();
        }
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        if (!_writesCompleted)
        {
            Abort(StreamAbort.Dropped);
        }

        if (!Interlocked.Exchange(ref _disposed, true) && !_hasReadEnd && _abort.TrySet(StreamAbort.Dropped, byPeer: false))
        {
            SendReset(StreamAbort.Dropped);
            OnAborted();
        }

        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    /// <remarks>At the end that accepts streams only, and to a peer that understands it.</remarks>
    public override void TellLeaving()
    {
        if (_multiplexer.PeerKnowsLeaving && !Volatile.Read(ref _disposed) && !_abort.IsSet)
        {
            _multiplexer.Send(Id, ProtocolCodec.LeavingBytes.Span);
        }
    }

    /// <summary>The peer says that the stream is leaving.</summary>
    internal void OnLeaving() => _leaving = true;

    /// <summary>The peer takes so many bytes more.</summary>
    /// <exception cref="ProtocolException">None, or more than it could ever need.</exception>
    internal void OnCredit(uint credit)
    {
        lock (_gate)
        {
            _credit += credit;
            if (credit == 0 || _credit > int.MaxValue)
            {
                throw new ProtocolException($"credit of {credit} bytes, {_credit} in all, on one stream");
            }
        }

        _mayWrite.Set();
    }

    /// <summary>The peer has answered our <see cref="Open"/>.</summary>
    /// <exception cref="ProtocolException">It had answered before.</exception>
    internal void OnAnswer(ChannelMessage answer)
    {
        if (!_answer.TrySetResult(answer) && !_abort.IsSet)
        {
            throw new ProtocolException("a second answer to open");
        }

        if (answer is Refused)
        {
            OnLost(new StreamAbort(AbortCode.Reset, "refused"), null);
        }
    }

    /// <summary>The peer drains the carrier and has not seen this stream, nor anything that was written to it.</summary>
    internal void OnNotTaken()
    {
        var reason = new StreamAbort(AbortCode.Shutdown, "the carrier drains");
        FailAnswer(new StreamNotTakenException());
        OnLost(reason, null);
    }

    /// <summary>The carrier is gone, or the peer has aborted the stream.</summary>
    internal void OnLost(StreamAbort reason, Exception? cause)
    {
        if (_abort.TrySet(reason, byPeer: true, cause))
        {
            OnAborted();
        }
    }

    private int TakeCredit(int atMost)
    {
        lock (_gate)
        {
            var count = (int)Math.Min(atMost, _credit);
            _credit -= count;
            return count;
        }
    }

    private void ReturnCredit(int count)
    {
        lock (_gate)
        {
            _credit += count;
        }
    }

    private void SendReset(StreamAbort reason) =>
        _multiplexer.Send(Id, ProtocolCodec.Encode(new Reset(reason.Code.ToWire(), ProtocolCodec.OneLine(reason.Detail))));

    private void OnAborted()
    {
        _multiplexer.Forget(this);
        FailAnswer(_abort.ToException());
        _mayWrite.Set();
        DropReceived();
        FailReader(_abort.ToException());
    }

    private void FailAnswer(IOException exception)
    {
        if (_answer.TrySetException(exception))
        {
            // At the accepting end nobody waits for it: it counts as seen.
            _ = _answer.Task.Exception;
        }
    }

    private void ThrowIfGone()
    {
        _abort.ThrowIfSet();
        if (_peerReset is { } reason)
        {
            throw new StreamAbortedException(reason, byPeer: true);
        }
    }

    private void ForgetWhenEnded()
    {
        if (_writesCompleted && _peerEnded)
        {
            _multiplexer.Forget(this);
        }
    }
}
