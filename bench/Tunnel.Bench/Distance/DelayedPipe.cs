using System.Buffers;
using System.Net.Sockets;
using System.Threading.Channels;

namespace Tunnel.Bench.Distance;

/// <summary>
/// One direction of a <see cref="DelayRelay"/>. What arrives leaves again a fixed time later, in the same chunks; so do the end and
/// a reset. As in TCP, at most a window of bytes is on the way: a byte counts until its acknowledgement, which takes as long as the
/// byte did, is back. So a direction carries at most one window in a round trip, and nothing else limits it.
/// </summary>
/// <param name="from">Where the bytes come from.</param>
/// <param name="to">Where they go.</param>
/// <param name="delay">How long each of them takes.</param>
/// <param name="window">How many bytes are on the way or not yet acknowledged, at most.</param>
/// <param name="clock">Its clock.</param>
internal sealed class DelayedPipe(Socket from, Socket to, TimeSpan delay, int window, TimeProvider clock)
{
    private const int ChunkSize = 64 * 1024;

    // Both are bounded by the window: a chunk has at least one byte.
    private readonly Channel<Chunk> _onTheWay = Channel.CreateUnbounded<Chunk>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly Channel<Acknowledgement> _acknowledged =
        Channel.CreateUnbounded<Acknowledgement>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });

    private readonly long _delayTicks = (long)(delay.TotalSeconds * clock.TimestampFrequency);
    private readonly int _window = window;
    private int _room = window;

    /// <summary>Gets how many bytes are on the way or not yet acknowledged.</summary>
    public int OnTheWay => _window - Volatile.Read(ref _room);

    /// <summary>Carries everything until the end of this direction.</summary>
    /// <param name="departure">Before this time stamp nothing departs; what is there earlier waits for it.</param>
    /// <param name="cancellationToken">Ends it at once.</param>
    public async Task RunAsync(long departure, CancellationToken cancellationToken)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var reading = ReadAsync(departure, stopping.Token);
        try
        {
            await WriteAsync(stopping.Token);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Nobody takes it any more. The other direction, which reads from there, brings the reset to the sender.
        }
        finally
        {
            await stopping.CancelAsync();
            await reading;
        }
    }

    private async Task ReadAsync(long departure, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(ChunkSize);
        try
        {
            int count;
            do
            {
                await WaitForRoomAsync(cancellationToken);
                count = await from.ReceiveAsync(buffer.AsMemory(0, Math.Min(ChunkSize, _room)), cancellationToken);
                var bytes = ArrayPool<byte>.Shared.Rent(count);
                buffer.AsSpan(0, count).CopyTo(bytes);
                _onTheWay.Writer.TryWrite(new Chunk(bytes, count, Arrival(departure)));

                // Last: who sees a byte on the way may count on its time of arrival.
                Volatile.Write(ref _room, _room - count);
            }
            while (count > 0);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            _onTheWay.Writer.TryWrite(new Chunk([], 0, Arrival(departure), IsReset: true));
        }
        catch (OperationCanceledException)
        {
            // The writer has ended, and with it this direction.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task WaitForRoomAsync(CancellationToken cancellationToken)
    {
        while (_acknowledged.Reader.TryPeek(out var next) && (_room == 0 || next.Arrival <= clock.GetTimestamp()))
        {
            await WaitUntilAsync(next.Arrival, cancellationToken);
            _acknowledged.Reader.TryRead(out _);
            Volatile.Write(ref _room, _room + next.Count);
        }

        if (_room == 0)
        {
            await _acknowledged.Reader.WaitToReadAsync(cancellationToken);
            await WaitForRoomAsync(cancellationToken);
        }
    }

    private async Task WriteAsync(CancellationToken cancellationToken)
    {
        await foreach (var chunk in _onTheWay.Reader.ReadAllAsync(cancellationToken))
        {
            await WaitUntilAsync(chunk.Arrival, cancellationToken);
            if (chunk.IsReset)
            {
                // Without lingering, closing a socket resets its connection.
                to.LingerState = new LingerOption(enable: true, seconds: 0);
                to.Close();
                return;
            }

            for (var rest = chunk.Bytes.AsMemory(0, chunk.Count); rest.Length > 0;)
            {
                rest = rest[await to.SendAsync(rest, cancellationToken)..];
            }

            ArrayPool<byte>.Shared.Return(chunk.Bytes);
            if (chunk.Count == 0)
            {
                to.Shutdown(SocketShutdown.Send);
                return;
            }

            _acknowledged.Writer.TryWrite(new Acknowledgement(chunk.Count, clock.GetTimestamp() + _delayTicks));
        }
    }

    private long Arrival(long departure) => Math.Max(clock.GetTimestamp(), departure) + _delayTicks;

    private async Task WaitUntilAsync(long time, CancellationToken cancellationToken)
    {
        while (clock.GetElapsedTime(clock.GetTimestamp(), time) is var left && left > TimeSpan.Zero)
        {
            // Timers count whole milliseconds.
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Ceiling(left.TotalMilliseconds)), clock, cancellationToken);
        }
    }

    private readonly record struct Chunk(byte[] Bytes, int Count, long Arrival, bool IsReset = false);

    private readonly record struct Acknowledgement(int Count, long Arrival);
}
