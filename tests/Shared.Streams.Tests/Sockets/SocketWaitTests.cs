using System.Net.Sockets;
using Shared.Streams.Sockets;
using Shared.Streams.Sockets.Epoll;

namespace Shared.Streams.Tests.Sockets;

public sealed class EpollSocketWaitTests() : SocketWaitTests(static socket => new EpollSocketStream(socket));

public sealed class RuntimeSocketWaitTests() : SocketWaitTests(static socket => new RuntimeSocketStream(socket));

/// <summary>Who waits, for what, and what ends it.</summary>
public abstract class SocketWaitTests(Func<Socket, SocketStream> over) : SocketPairTests(over)
{
    [Fact]
    public async Task Cancelled_read_takes_nothing_from_the_next_one()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        await using var __ = stream;
        for (var round = 0; round < 50; round++)
        {
            using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
            var reading = stream.ReadAsync(new byte[10], cancellation.Token).AsTask();
            await cancellation.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading.WaitAsync(Patience, Cancelled));

            await raw.SendAsync(new byte[] { (byte)round }, Cancelled);
            var buffer = new byte[10];
            Assert.Equal(1, await stream.ReadAsync(buffer, Cancelled).AsTask().WaitAsync(Patience, Cancelled));
            Assert.Equal(round, buffer[0]);
        }
    }

    [Fact]
    public async Task Abort_ends_a_read_and_a_write_that_wait()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        var reading = stream.ReadAsync(new byte[1], Cancelled).AsTask();
        var writing = stream.WriteAsync(new byte[64 * MiB], Cancelled).AsTask();
        Assert.False(reading.IsCompleted || writing.IsCompleted);

        stream.Abort(new StreamAbort(AbortCode.Shutdown, "enough"));

        foreach (var waiting in new[] { reading, writing })
        {
            var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => waiting.WaitAsync(Patience, Cancelled));
            Assert.Equal((AbortCode.Shutdown, "enough", false), (abort.Reason.Code, abort.Reason.Detail, abort.ByPeer));
        }

        await stream.DisposeAsync();
    }

    [Fact]
    public async Task Cancelled_write_that_waits_ends()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        await using var __ = stream;
        using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        var writing = stream.WriteAsync(new byte[64 * MiB], cancellation.Token).AsTask();

        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => writing.WaitAsync(Patience, Cancelled));
    }

    [Theory]
    [InlineData(0, 16)]
    [InlineData(15, 16)]
    [InlineData(16, 16)]
    [InlineData(17, 16)]
    [InlineData(64 * 1024, 16 * 1024)]
    public async Task End_is_read_behind_the_last_byte_however_it_meets_the_buffer(int bytes, int bufferSize)
    {
        for (var round = 0; round < 20; round++)
        {
            var (stream, raw) = await ConnectAsync();
            var sending = SendAndEndAsync(raw, bytes);
            var buffer = new byte[bufferSize];
            var received = 0;
            while (true)
            {
                await stream.ReadAsync(Memory<byte>.Empty, Cancelled).AsTask().WaitAsync(Patience, Cancelled);
                var count = await stream.ReadAsync(buffer, Cancelled).AsTask().WaitAsync(Patience, Cancelled);
                if (count == 0)
                {
                    break;
                }

                received += count;
            }

            Assert.Equal(bytes, received);
            await sending;
            await stream.CompleteWritesAsync(Cancelled);
            await stream.DisposeAsync();
            raw.Dispose();
        }

        static async Task SendAndEndAsync(Socket socket, int bytes)
        {
            await SendAllAsync(socket, bytes);
            socket.Shutdown(SocketShutdown.Send);
        }
    }

    [Fact]
    public async Task Wait_without_a_buffer_is_ended_by_a_reset()
    {
        var (stream, raw) = await ConnectAsync();
        await using var __ = stream;
        var waiting = stream.ReadAsync(Memory<byte>.Empty, Cancelled).AsTask();
        raw.LingerState = new LingerOption(true, 0);
        raw.Dispose();

        var abort = await Assert.ThrowsAsync<StreamAbortedException>(async () =>
        {
            await waiting.WaitAsync(Patience, Cancelled);
            await stream.ReadAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled);
        });
        Assert.Equal((StreamAbort.Reset, true), (abort.Reason, abort.ByPeer));
    }

    [Fact]
    public async Task Cancellation_that_meets_a_byte_ends_no_other_read()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        await using var __ = stream;
        var buffer = new byte[10];
        for (var round = 0; round < 3000; round++)
        {
            using var cancellation = new CancellationTokenSource();
            var reading = stream.ReadAsync(buffer, cancellation.Token).AsTask();
            var cancelling = Task.Run(cancellation.Cancel, Cancelled);
            raw.Send([(byte)round]);
            var count = 0;
            try
            {
                count = await reading.WaitAsync(Patience, Cancelled);
            }
            catch (OperationCanceledException)
            {
                count = await stream.ReadAsync(buffer, Cancelled).AsTask().WaitAsync(Patience, Cancelled);
            }

            Assert.Equal((1, (byte)round), (count, buffer[0]));
            await cancelling;
        }
    }

    [Fact]
    public async Task Bytes_behind_an_urgent_one_are_read_without_more_to_come()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        await using var __ = stream;
        for (var round = 0; round < 3; round++)
        {
            raw.Send("abc"u8);
            raw.Send("!"u8, SocketFlags.OutOfBand);
            raw.Send("de"u8);
            var received = new List<byte>();
            var buffer = new byte[10];
            while (received.Count < 5)
            {
                await stream.ReadAsync(Memory<byte>.Empty, Cancelled).AsTask().WaitAsync(Patience, Cancelled);
                var count = await stream.ReadAsync(buffer, Cancelled).AsTask().WaitAsync(Patience, Cancelled);
                received.AddRange(buffer[..count]);
            }

            Assert.Equal("abcde"u8.ToArray(), received);
        }
    }

    [Fact]
    public async Task Both_directions_carry_everything_while_sizes_and_pauses_vary()
    {
        const int Total = 8 * MiB;
        var pairs = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => ConnectAsync()));
        await Task.WhenAll(pairs.Select(async (pair, number) =>
        {
            await using var stream = pair.Stream;
            await using var peer = Over(pair.Raw);
            await Task.WhenAll(
                SendVaryingAsync(stream, new Random(number), Total), SendVaryingAsync(peer, new Random(100 + number), Total),
                CheckVaryingAsync(stream, new Random(200 + number), Total), CheckVaryingAsync(peer, new Random(300 + number), Total));
        }));

        static async Task SendVaryingAsync(DuplexStream stream, Random random, int total)
        {
            var bytes = new byte[300_000];
            for (var sent = 0; sent < total;)
            {
                var count = Math.Min(total - sent, random.Next(3) == 0 ? random.Next(1, bytes.Length) : random.Next(1, 2000));
                for (var index = 0; index < count; index++)
                {
                    bytes[index] = (byte)((sent + index) * 31 >> 3);
                }

                await stream.WriteAsync(bytes.AsMemory(0, count), Cancelled).AsTask().WaitAsync(Patience, Cancelled);
                sent += count;
                if (random.Next(20) == 0)
                {
                    await Task.Yield();
                }
            }

            await stream.CompleteWritesAsync(Cancelled);
        }

        static async Task CheckVaryingAsync(DuplexStream stream, Random random, int total)
        {
            var bytes = new byte[100_000];
            var received = 0;
            while (true)
            {
                if (random.Next(2) == 0)
                {
                    await stream.ReadAsync(Memory<byte>.Empty, Cancelled).AsTask().WaitAsync(Patience, Cancelled);
                }

                var count = await stream.ReadAsync(bytes.AsMemory(0, random.Next(1, bytes.Length)), Cancelled).AsTask().WaitAsync(Patience, Cancelled);
                if (count == 0)
                {
                    break;
                }

                for (var index = 0; index < count; index++)
                {
                    if (bytes[index] != (byte)((received + index) * 31 >> 3))
                    {
                        Assert.Fail($"byte {received + index} is another one");
                    }
                }

                received += count;
            }

            Assert.Equal(total, received);
        }
    }

    [Fact]
    public async Task Sockets_come_and_go_while_others_work()
    {
        await Task.WhenAll(Enumerable.Range(0, 20).Select(async number =>
        {
            for (var round = 0; round < 60; round++)
            {
                var (stream, raw) = await ConnectAsync();
                using var _ = raw;
                var message = new byte[] { (byte)number, (byte)round };
                var waiting = stream.ReadAsync(Memory<byte>.Empty, Cancelled).AsTask();
                await raw.SendAsync(message, Cancelled);
                await waiting.WaitAsync(Patience, Cancelled);
                var buffer = new byte[10];
                Assert.Equal(2, await stream.ReadAsync(buffer, Cancelled).AsTask().WaitAsync(Patience, Cancelled));
                Assert.Equal(message, buffer[..2]);
                var unanswered = stream.ReadAsync(buffer, Cancelled).AsTask();
                await stream.DisposeAsync();
                await Assert.ThrowsAsync<StreamAbortedException>(() => unanswered.WaitAsync(Patience, Cancelled));
            }
        }));
    }
}
