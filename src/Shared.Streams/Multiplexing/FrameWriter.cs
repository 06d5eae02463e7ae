using System.Buffers;
using System.Buffers.Binary;
using Shared.Streams.Flushing;
using Shared.Streams.Protocol;

namespace Shared.Streams.Multiplexing;

/// <summary>
/// The one writer of a carrier. Frames are copied into a batch; whoever then calls <see cref="Flush"/> sends it on his own thread, at once or
/// at the end of his turn, and what others add meanwhile goes out together as the next. So a lone frame waits for nothing, and under load many
/// share a TLS record and a system call. Any number of callers; the lock is held for a copy of at most one frame.
/// </summary>
/// <remarks>Previous stop of a byte: <see cref="MultiplexedStream"/>. Next stop: the carrier's own stream.</remarks>
internal sealed class FrameWriter(DuplexStream carrier) : IFlushable
{
    private const int FirstBatch = 4 * 1024;

    /// <summary>Payload waits while so many bytes are to be sent.</summary>
    private const int MaxBatch = 256 * 1024;

    /// <summary>A batch of so many bytes gains nothing by growing.</summary>
    private const int WorthSending = 64 * 1024;

    /// <summary>What is no payload never waits; a peer that takes none of it for so long is no peer.</summary>
    private const int MaxBacklog = 2 * 1024 * 1024;

    /// <summary>So many batches in a row are sent by one caller; then the thread pool goes on.</summary>
    private const int MaxInlineBatches = 8;

    private readonly Lock _gate = new();
    private readonly Queue<RoomSignal> _waiting = new();
    private readonly InlineSignal _ready = new(inline: true);
    private byte[] _batch = [];
    private int _count;

    /// <summary>The room that waiters were woken for and have not used yet. While anybody waits, this and the batch leave none.</summary>
    private int _promised;

    private bool _sending;
    private bool _completed;
    private bool _closed;

    /// <summary>
    /// Adds a frame with payload, unless the batch is full: then <paramref name="room"/> is set when there is room for it, in the order in
    /// which they came. Whoever does not try again then calls <see cref="GiveUp"/>, because that room is kept for him.
    /// </summary>
    /// <param name="stream">The stream.</param>
    /// <param name="payload">1 byte to <see cref="TunnelProtocol.MaxPayload"/>.</param>
    /// <param name="room">The caller's signal.</param>
    public bool TryWriteData(uint stream, ReadOnlySpan<byte> payload, RoomSignal room)
    {
        lock (_gate)
        {
            var promised = TakePromise(room);
            if (payload.Length > promised && _count + _promised >= MaxBatch && !_closed)
            {
                // Once each: whoever is woken for another reason comes here again, and keeps his place.
                if (room.Place == RoomPlace.None)
                {
                    _waiting.Enqueue(room);
                }

                (room.Place, room.Wanted) = (RoomPlace.Waits, payload.Length);
                return false;
            }

            Add(new FrameHeader(stream, FrameType.Data, payload.Length), payload);
            WakeWaiting();
            return true;
        }
    }

    /// <summary>Whoever waited for room does not want it any more; it goes to the next.</summary>
    public void GiveUp(RoomSignal room)
    {
        lock (_gate)
        {
            if (room.Place == RoomPlace.Waits)
            {
                room.Place = RoomPlace.Left;
            }

            TakePromise(room);
            WakeWaiting();
        }
    }

    /// <summary>False when the peer takes nothing, and a message about a stream would be refused.</summary>
    public bool TakesMessages
    {
        get
        {
            lock (_gate)
            {
                return _count <= MaxBacklog;
            }
        }
    }

    /// <summary>Adds a frame about a stream.</summary>
    /// <exception cref="IOException">The peer takes nothing.</exception>
    public void WriteMessage(uint stream, ReadOnlySpan<byte> message) => Write(new FrameHeader(stream, FrameType.Message, message.Length), message);

    /// <summary>Grants credit to the sender of a stream.</summary>
    /// <inheritdoc cref="WriteMessage" path="/exception"/>
    public void WriteCredit(uint stream, int credit)
    {
        Span<byte> body = stackalloc byte[FrameHeader.CreditLength];
        BinaryPrimitives.WriteInt32BigEndian(body, credit);
        Write(new FrameHeader(stream, FrameType.Credit, body.Length), body);
    }

    /// <summary>Sends a ping or a pong.</summary>
    /// <inheritdoc cref="WriteMessage" path="/exception"/>
    public void WritePing(FrameType type, ReadOnlySpan<byte> body) => Write(new FrameHeader(0, type, body.Length), body);

    /// <summary>Says that no stream after this one is taken.</summary>
    /// <inheritdoc cref="WriteMessage" path="/exception"/>
    public void WriteDrain(uint lastTaken) => Write(new FrameHeader(lastTaken, FrameType.Drain, 0), default);

    /// <summary>Sends what was added: now when it is much, or else at the end of the <see cref="FlushScope"/> of this thread.</summary>
    public void Flush()
    {
        if (Volatile.Read(ref _count) < WorthSending && FlushScope.TryDefer(this))
        {
            return;
        }

        lock (_gate)
        {
            if (_sending || _count == 0 || _closed)
            {
                return;
            }

            _sending = true;
        }

        _ready.Set();
    }

    /// <summary>Sends batches until <see cref="Complete"/> or <see cref="Close"/>. Called once.</summary>
    /// <exception cref="StreamAbortedException">The carrier broke.</exception>
    public async Task RunAsync()
    {
        await _ready.WaitAsync();
        for (var inARow = 0; ;)
        {
            if (Take() is not { } batch)
            {
                if (_closed || _completed)
                {
                    return;
                }

                await _ready.WaitAsync();
                inARow = 0;
                continue;
            }

            try
            {
                var writing = carrier.WriteAsync(batch);
                inARow = writing.IsCompleted ? inARow + 1 : 0;
                await writing;
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(batch.Array!);
            }

            if (inARow >= MaxInlineBatches)
            {
                await Task.Yield();
                inARow = 0;
            }
        }
    }

    /// <summary>Ends <see cref="RunAsync"/> when everything is sent.</summary>
    public void Complete()
    {
        lock (_gate)
        {
            _completed = true;
        }

        _ready.Set();
    }

    /// <summary>Nothing is sent any more; whoever waits is woken and finds his stream aborted. What comes later is thrown away.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
            _sending = true;
            WakeAll();
        }

        _ready.Set();
    }

    private void Write(FrameHeader header, ReadOnlySpan<byte> body)
    {
        lock (_gate)
        {
            if (_count > MaxBacklog)
            {
                throw new IOException("the peer takes nothing");
            }

            Add(header, body);
        }
    }

    private void Add(FrameHeader header, ReadOnlySpan<byte> body)
    {
        if (_closed)
        {
            return;
        }

        var needed = _count + FrameHeader.Size + body.Length;
        if (needed > _batch.Length)
        {
            Grow(needed);
        }

        header.Write(_batch.AsSpan(_count));
        body.CopyTo(_batch.AsSpan(_count + FrameHeader.Size));
        _count = needed;
    }

    private void Grow(int needed)
    {
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(FirstBatch, Math.Max(needed, _batch.Length * 2)));
        _batch.AsSpan(0, _count).CopyTo(larger);
        GiveBack();
        _batch = larger;
    }

    private void GiveBack()
    {
        if (_batch.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_batch);
            _batch = [];
        }
    }

    /// <summary>Takes the batch for sending; without one, the next caller sends.</summary>
    private ArraySegment<byte>? Take()
    {
        lock (_gate)
        {
            if (_closed || _count == 0)
            {
                _sending = _closed;
                _count = 0;
                GiveBack();
                return null;
            }

            var taken = new ArraySegment<byte>(_batch, 0, _count);
            (_batch, _count) = ([], 0);
            WakeWaiting();
            return taken;
        }
    }

    private int TakePromise(RoomSignal room)
    {
        if (room.Place != RoomPlace.Promised)
        {
            return 0;
        }

        room.Place = RoomPlace.None;
        _promised -= room.Wanted;
        return room.Wanted;
    }

    /// <summary>Wakes those for whom there is room. They go on in the thread pool, so nobody else's code runs under the lock.</summary>
    private void WakeWaiting()
    {
        while (_count + _promised < MaxBatch && _waiting.TryDequeue(out var waiter))
        {
            if (waiter.Place == RoomPlace.Left)
            {
                waiter.Place = RoomPlace.None;
                continue;
            }

            waiter.Place = RoomPlace.Promised;
            _promised += waiter.Wanted;
            waiter.Set();
        }
    }

    private void WakeAll()
    {
        while (_waiting.TryDequeue(out var waiter))
        {
            waiter.Place = RoomPlace.None;
            waiter.Set();
        }
    }
}
