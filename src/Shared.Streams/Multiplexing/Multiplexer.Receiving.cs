using System.Buffers;
using System.Buffers.Binary;
using Shared.Streams.Flushing;
using Shared.Streams.Protocol;

namespace Shared.Streams.Multiplexing;

/// <content>The receiving loop: bytes of the carrier to frames to streams; pings and how long a silent peer is believed in.</content>
public sealed partial class Multiplexer
{
    private const int BufferSize = 128 * 1024;

    /// <summary>So many reads in a row without a wait; then others of this thread have their turn.</summary>
    private const int MaxReadsInARow = 512;

    private static readonly TimeSpan PingInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan SilenceTimeout = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(1);

    private readonly FlushScope _scope = new();
    private readonly RoundTripTime _roundTrip = new();
    private long _lastReceived;

    /// <summary>The stream and the number of bytes that are still to come of a frame with payload that has begun.</summary>
    private (MultiplexedStream? Stream, int Left) _data;

    /// <summary>The time that a ping took there and back; zero before the first.</summary>
    internal TimeSpan RoundTrip => _roundTrip.Shortest;

    private async Task ReceiveAsync()
    {
        byte[]? buffer = null;
        var (start, end, inARow) = (0, 0, 0);
        try
        {
            while (true)
            {
                if (buffer is null)
                {
                    await _carrier.ReadAsync(Memory<byte>.Empty);
                    buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
                }

                var reading = _carrier.ReadAsync(buffer.AsMemory(end));
                inARow = reading.IsCompleted ? inARow + 1 : 0;
                var count = await reading;
                if (count == 0)
                {
                    return;
                }

                var now = _time.GetTimestamp();
                var wasQuiet = _time.GetElapsedTime(_lastReceived, now) > Quiet;
                Volatile.Write(ref _lastReceived, now);
                end += count;
                _scope.Enter();
                try
                {
                    start += HandOut(buffer.AsMemory(start..end));
                }
                finally
                {
                    _scope.Leave();
                }

                if (inARow > 0)
                {
                    FlushScope.FlushHeldBack();
                }

                buffer.AsSpan(start..end).CopyTo(buffer);
                (start, end) = (0, end - start);

                if (inARow >= MaxReadsInARow)
                {
                    await Task.Yield();
                    inARow = 0;
                }

                // A busy carrier reads into the buffer it has; one that hardly says anything waits without.
                if (wasQuiet && end == 0)
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = null;
                }
            }
        }
        finally
        {
            if (buffer is not null)
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }
    }

    /// <summary>Hands out whole frames, and payload as it comes; nothing more once the carrier is lost.</summary>
    /// <returns>How many bytes are done with; the rest is the beginning of a frame.</returns>
    private int HandOut(ReadOnlyMemory<byte> bytes)
    {
        var all = bytes.Length;
        while (!_lost)
        {
            if (_data.Left > 0)
            {
                var part = bytes[..Math.Min(bytes.Length, _data.Left)];
                bytes = bytes[part.Length..];
                _data.Left -= part.Length;
                if (!part.IsEmpty)
                {
                    _data.Stream?.OnData(part);
                }
            }

            if (bytes.Length < FrameHeader.Size)
            {
                return all - bytes.Length;
            }

            var header = FrameHeader.Read(bytes.Span);
            if (header.Type == FrameType.Data)
            {
                bytes = bytes[FrameHeader.Size..];
                _data = (Find(header.Stream), header.Length);
                continue;
            }

            if (bytes.Length < FrameHeader.Size + header.Length)
            {
                return all - bytes.Length;
            }

            OnFrame(header, bytes.Span.Slice(FrameHeader.Size, header.Length));
            bytes = bytes[(FrameHeader.Size + header.Length)..];
        }

        return all;
    }

    private void OnFrame(FrameHeader header, ReadOnlySpan<byte> body)
    {
        switch (header.Type)
        {
            case FrameType.Credit:
                Find(header.Stream)?.OnCredit(BinaryPrimitives.ReadUInt32BigEndian(body));
                break;
            case FrameType.Ping:
                Writer.WritePing(FrameType.Pong, body);
                Writer.Flush();
                break;
            case FrameType.Pong:
                OnPong(BinaryPrimitives.ReadInt64BigEndian(body));
                break;
            case FrameType.Drain:
                OnDrain(header.Stream);
                break;
            case FrameType.Message:
                OnMessage(header.Stream, ProtocolCodec.DecodeChannel(body));
                break;
            default:
                throw new ProtocolException($"a frame of type {header.Type} on a carrier that is in use");
        }
    }

    private void OnMessage(uint id, ChannelMessage message)
    {
        if (message is Open open)
        {
            OnOpen(id, open);
            return;
        }

        var stream = Find(id);
        switch (message)
        {
            case Opened or Refused when _accept is null:
                stream?.OnAnswer(message);
                break;
            case End:
                stream?.OnEnd();
                break;
            case Leaving when _accept is null:
                stream?.OnLeaving();
                break;
            case Reset reset:
                stream?.OnReset(new StreamAbort(AbortCodes.FromWire(reset.Code), ProtocolCodec.OneLine(reset.Message)));
                break;
            default:
                throw new ProtocolException($"{message.GetType().Name} from this end of a carrier");
        }
    }

    private void OnOpen(uint id, Open open)
    {
        if (_accept is null || id <= _lastId)
        {
            throw new ProtocolException($"open of stream {id}");
        }

        var stream = new MultiplexedStream(this, id, _time);
        var isFull = StreamCount >= MaxStreams;

        // Whoever loses the carrier meanwhile finds the stream among those that he tells, or is seen here.
        lock (_opening)
        {
            _lastId = id;
            if (_draining || _lost)
            {
                // The peer learns from our drain, or from the carrier's end, that this stream has not happened; what follows of it is skipped.
                return;
            }

            if (!isFull)
            {
                Remember(stream);
            }
        }

        if (isFull)
        {
            Send(id, ProtocolCodec.Encode(new Refused("limited", "The carrier has its limit of streams.")));
            return;
        }

        _accept(new IncomingStream(stream, this, open));
    }

    private void OnDrain(uint lastTaken)
    {
        if (_accept is not null)
        {
            throw new ProtocolException("drain from the end that opens streams");
        }

        lock (_opening)
        {
            _draining = true;
        }

        foreach (var stream in _streams.Values)
        {
            if (stream.Id > lastTaken)
            {
                stream.OnNotTaken();
            }
        }

        EndWhenDrained();
    }

    /// <summary>The stream of a number; null when it has ended here, and the peer could not know that yet.</summary>
    /// <exception cref="ProtocolException">There never was such a stream.</exception>
    private MultiplexedStream? Find(uint id)
    {
        if (_streams.TryGetValue(id, out var stream))
        {
            return stream;
        }

        // Numbers are used once and in order.
        return id <= Volatile.Read(ref _lastId) ? null : throw new ProtocolException($"a frame of stream {id}, which was never opened");
    }

    private void Remember(MultiplexedStream stream)
    {
        _streams[stream.Id] = stream;
        Interlocked.Increment(ref _count);
    }

    private void LoseStreams(StreamAbort reason)
    {
        lock (_opening)
        {
            _lost = true;
        }

        foreach (var stream in _streams.Values)
        {
            stream.OnLost(reason, null);
        }
    }

    private async Task PingAsync(CancellationToken ended)
    {
        using var timer = new PeriodicTimer(PingInterval, _time);
        var body = new byte[FrameHeader.PingLength];
        do
        {
            if (_time.GetElapsedTime(Volatile.Read(ref _lastReceived)) > SilenceTimeout)
            {
                throw new IOException("the peer is silent");
            }

            BinaryPrimitives.WriteInt64BigEndian(body, _time.GetTimestamp());
            Writer.WritePing(FrameType.Ping, body);
            Writer.Flush();
        }
        while (await timer.WaitForNextTickAsync(ended));
    }

    private void OnPong(long sent)
    {
        var now = _time.GetTimestamp();
        if (sent > 0 && sent <= now)
        {
            _roundTrip.Add(_time.GetElapsedTime(sent, now));
        }
    }
}
