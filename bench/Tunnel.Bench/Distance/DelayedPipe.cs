using System.Buffers;
using System.Net.Sockets;
using System.Threading.Channels;

namespace Tunnel.Bench.Distance;

/// <summary>
/// One direction of a <see cref="DelayRelay"/>. What arrives leaves again a fixed time later, in the same chunks; so do the end and
/// a reset. The chunks on the way are limited in number and size, which is far more than the measured application ever sends.
/// </summary>
internal sealed class DelayedPipe(Socket from, Socket to, TimeSpan delay, TimeProvider clock)
{
    private const int ChunkSize = 64 * 1024;
    private const int MaxChunks = 256;

    private readonly Channel<Chunk> _onTheWay = Channel.CreateBounded<Chunk>(new BoundedChannelOptions(MaxChunks) { SingleReader = true, SingleWriter = true });

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
        try
        {
            while (true)
            {
                await from.ReceiveAsync(Memory<byte>.Empty, cancellationToken);
                var buffer = ArrayPool<byte>.Shared.Rent(ChunkSize);
                var count = await from.ReceiveAsync(buffer.AsMemory(0, ChunkSize), cancellationToken);
                await _onTheWay.Writer.WriteAsync(new Chunk(buffer, count, Arrival(departure)), cancellationToken);
                if (count == 0)
                {
                    return;
                }
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            await _onTheWay.Writer.WriteAsync(new Chunk([], 0, Arrival(departure), IsReset: true), cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // The writer has ended, and with it this direction.
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
        }
    }

    private long Arrival(long departure) => Math.Max(clock.GetTimestamp(), departure) + (long)(delay.TotalSeconds * clock.TimestampFrequency);

    private async Task WaitUntilAsync(long time, CancellationToken cancellationToken)
    {
        while (clock.GetElapsedTime(clock.GetTimestamp(), time) is var left && left > TimeSpan.Zero)
        {
            // Timers count whole milliseconds.
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Ceiling(left.TotalMilliseconds)), clock, cancellationToken);
        }
    }

    private readonly record struct Chunk(byte[] Bytes, int Count, long Arrival, bool IsReset = false);
}
