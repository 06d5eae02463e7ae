using System.Collections.Concurrent;
using Shared.Streams.Protocol;

namespace Shared.Streams.Multiplexing;

/// <summary>
/// Many streams over one carrier, which may be any stream: TLS, a WebSocket. One end opens streams, the other accepts them.
/// docs/protocol.md section 5. All members may be called concurrently, <see cref="RunAsync"/> once.
/// </summary>
/// <remarks>
/// No stream can stall another one: the receiving loop never waits for a stream, because what a stream may send is bounded by its
/// credit, and a stream's sender without credit leaves the carrier to the others.
/// </remarks>
public sealed partial class Multiplexer
{
    /// <summary>The most streams one carrier takes at a time.</summary>
    public const int MaxStreams = 32 * 1024;

    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(2);

    private readonly DuplexStream _carrier;
    private readonly TimeProvider _time;
    private readonly Action<IncomingStream>? _accept;
    private readonly ConcurrentDictionary<uint, MultiplexedStream> _streams = new();
    private readonly Lock _opening = new();
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _lost;
    private bool _draining;
    private uint _lastId;
    private int _count;

    /// <summary>Takes over a carrier.</summary>
    /// <param name="carrier">The stream underneath.</param>
    /// <param name="time">The clock of pings and windows.</param>
    /// <param name="accept">
    /// Takes a stream that the peer asks for, and must not block: the carrier's other streams wait. Null at the end that opens streams.
    /// </param>
    /// <param name="windows">What the windows of its streams may grow by; null for a budget of its own.</param>
    public Multiplexer(DuplexStream carrier, TimeProvider time, Action<IncomingStream>? accept = null, WindowBudget? windows = null)
    {
        (_carrier, _time, _accept) = (carrier, time, accept);
        Windows = windows ?? new WindowBudget();
        Writer = new FrameWriter(carrier);
        _lastReceived = time.GetTimestamp();
    }

    /// <summary>How many streams there are now.</summary>
    public int StreamCount => Volatile.Read(ref _count);

    /// <summary>False once the carrier is lost or drains, or while it is full.</summary>
    public bool TakesStreams => !IsDraining && _lastId < uint.MaxValue && StreamCount < MaxStreams;

    /// <summary>Whether the peer has said that it understands <see cref="Leaving"/>. At the end that accepts streams only.</summary>
    public bool PeerKnowsLeaving { get; init; }

    /// <summary>True once either end takes no new streams, or the carrier is lost.</summary>
    internal bool IsDraining => Volatile.Read(ref _draining);

    internal FrameWriter Writer { get; }

    /// <summary>What the windows of all streams share for their growth.</summary>
    internal WindowBudget Windows { get; }

    /// <summary>
    /// Opens a stream without waiting: it may be written to at once, <see cref="MultiplexedStream.Answer"/> tells whether it was taken.
    /// </summary>
    /// <exception cref="StreamNotTakenException">The carrier is lost, drains or is full: nothing of the stream has happened.</exception>
    public MultiplexedStream Open(Open open)
    {
        var message = ProtocolCodec.Encode(open);
        MultiplexedStream stream;

        // Numbers must be on the wire in their order.
        lock (_opening)
        {
            if (_lost || !TakesStreams || !Writer.TakesMessages)
            {
                throw new StreamNotTakenException();
            }

            stream = new MultiplexedStream(this, ++_lastId, _time);
            Remember(stream);
            Writer.WriteMessage(stream.Id, message);
        }

        Writer.Flush();
        return stream;
    }

    /// <summary>Opens a stream and waits for the peer's answer. Without an <see cref="Opened"/> the stream is over.</summary>
    /// <param name="open">What is asked for.</param>
    /// <param name="early">What the application says meanwhile, which is passed on; null when it is not to be listened to yet.</param>
    /// <param name="cancellationToken">Ends the wait and the stream.</param>
    /// <exception cref="StreamNotTakenException">The carrier is lost, drains or is full: nothing of the stream has happened.</exception>
    /// <exception cref="IOException">The carrier was lost, or the stream aborted, before the answer.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task<(MultiplexedStream Stream, ChannelMessage Answer)> OpenAsync(Open open, EarlyData? early, CancellationToken cancellationToken)
    {
        var stream = Open(open);
        early?.Start(stream);
        try
        {
            return (stream, await stream.Answer.WaitAsync(cancellationToken));
        }
        catch
        {
            stream.Abort(StreamAbort.Dropped);
            throw;
        }
        finally
        {
            if (early is not null)
            {
                early.Stop();
                await early.Finished;
            }
        }
    }

    /// <summary>
    /// Carries until the carrier ends, breaks or is aborted; then every stream is aborted with connection-lost. Returns without an
    /// exception when either end has ended the carrier in order, which is after <see cref="Drain"/>.
    /// </summary>
    /// <exception cref="IOException">The carrier broke, or the peer broke the protocol.</exception>
    public async Task RunAsync()
    {
        using var ended = new CancellationTokenSource();
        var (receiving, sending) = (ReceiveAsync(), Writer.RunAsync());
        Task[] loops = [receiving, sending, PingAsync(ended.Token), _drained.Task];
        var lost = new StreamAbort(AbortCode.ConnectionLost, "the connection was lost");
        try
        {
            await await Task.WhenAny(loops);
            await EndInOrderAsync(receiving, sending);
        }
        catch (Exception exception)
        {
            Volatile.Write(ref _draining, true);
            _carrier.Abort(exception is ProtocolException ? new StreamAbort(AbortCode.ProtocolError, exception.Message) : lost);
            throw;
        }
        finally
        {
            // In this order: what is written to a writer that is closed is thrown away, and by then its stream knows that it is lost.
            LoseStreams(lost);
            Writer.Close();
            await _carrier.DisposeAsync();
            _drained.TrySetResult();
            await ended.CancelAsync();
            await Task.WhenAll(loops).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    /// <summary>
    /// Takes no new streams; the carrier ends in order after the last one. The end that accepts streams tells the other one, which gets
    /// a <see cref="StreamNotTakenException"/> for those that were on their way.
    /// </summary>
    public void Drain()
    {
        try
        {
            lock (_opening)
            {
                if (_accept is not null && !_draining && !_lost)
                {
                    Writer.WriteDrain(_lastId);
                }

                _draining = true;
            }
        }
        catch (IOException exception)
        {
            Abort(new StreamAbort(AbortCode.Timeout, exception.Message));
        }

        Writer.Flush();
        EndWhenDrained();
    }

    /// <summary>Cuts the carrier and with it all of its streams.</summary>
    public void Abort(StreamAbort reason) => _carrier.Abort(reason);

    /// <summary>Sends a message about a stream.</summary>
    internal void Send(uint stream, ReadOnlySpan<byte> message)
    {
        try
        {
            Writer.WriteMessage(stream, message);
            Writer.Flush();
        }
        catch (IOException exception)
        {
            Abort(new StreamAbort(AbortCode.Timeout, exception.Message));
        }
    }

    /// <summary>Grants credit to the sender of a stream.</summary>
    internal void SendCredit(uint stream, int credit)
    {
        try
        {
            Writer.WriteCredit(stream, credit);
            Writer.Flush();
        }
        catch (IOException exception)
        {
            Abort(new StreamAbort(AbortCode.Timeout, exception.Message));
        }
    }

    /// <summary>The stream has ended.</summary>
    internal void Forget(MultiplexedStream stream)
    {
        if (_streams.TryRemove(stream.Id, out _))
        {
            Interlocked.Decrement(ref _count);
            EndWhenDrained();
        }
    }

    private void EndWhenDrained()
    {
        if (_accept is null && IsDraining && StreamCount == 0)
        {
            _drained.TrySetResult();
        }
    }

    /// <summary>Sends what is left, then our end, and gives the peer a moment to say its own.</summary>
    private async Task EndInOrderAsync(Task receiving, Task sending)
    {
        Volatile.Write(ref _draining, true);
        try
        {
            Writer.Complete();
            await sending.WaitAsync(EndTimeout, _time);
            await _carrier.CompleteWritesAsync().AsTask().WaitAsync(EndTimeout, _time);
            await receiving.WaitAsync(EndTimeout, _time);
        }
        catch (TimeoutException)
        {
            // It was the last courtesy; the streams have ended.
        }
    }
}
