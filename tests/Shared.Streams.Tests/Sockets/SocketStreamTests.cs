using System.Net;
using System.Net.Sockets;
using Shared.Streams.Sockets;
using Shared.Streams.Sockets.Epoll;

namespace Shared.Streams.Tests.Sockets;

public sealed class EpollSocketStreamTests() : SocketStreamTests(static socket => new EpollSocketStream(socket));

public sealed class RuntimeSocketStreamTests() : SocketStreamTests(static socket => new RuntimeSocketStream(socket));

/// <summary>A stream on one end and a raw socket on the other, to see what really is on the wire.</summary>
public abstract class SocketStreamTests(Func<Socket, SocketStream> over)
{
    private const int MiB = 1024 * 1024;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Abort_is_a_reset_on_the_wire()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;

        stream.Abort(new StreamAbort(AbortCode.Shutdown));

        var error = await Assert.ThrowsAsync<SocketException>(() => ReceiveAsync(raw));
        Assert.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
        await stream.DisposeAsync();
    }

    [Fact]
    public async Task Completed_writes_are_a_FIN_on_the_wire_behind_all_bytes()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        await stream.WriteAsync(new byte[1000], Cancelled);
        await stream.CompleteWritesAsync(Cancelled);

        Assert.Equal(1000, await CountToEndAsync(raw));
        await stream.DisposeAsync();
    }

    [Fact]
    public async Task Reset_by_the_peer_is_an_abort_for_reads_writes_and_ends()
    {
        var (stream, raw) = await ConnectAsync();
        await using var __ = stream;
        raw.LingerState = new LingerOption(true, 0);
        raw.Dispose();

        var read = await Assert.ThrowsAsync<StreamAbortedException>(() => stream.ReadAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        var write = await Assert.ThrowsAsync<StreamAbortedException>(() => stream.WriteAsync(new byte[1], Cancelled).AsTask());
        var end = await Assert.ThrowsAsync<StreamAbortedException>(() => stream.CompleteWritesAsync(Cancelled).AsTask());

        Assert.All([read, write, end], static abort => Assert.Equal((StreamAbort.Reset, true), (abort.Reason, abort.ByPeer)));
    }

    [Fact]
    public async Task Write_to_a_peer_that_is_gone_is_an_abort()
    {
        var (stream, raw) = await ConnectAsync();
        await using var __ = stream;
        raw.Dispose();

        var abort = await Assert.ThrowsAsync<StreamAbortedException>(async () =>
        {
            while (true)
            {
                await stream.WriteAsync(new byte[1000], Cancelled).AsTask().WaitAsync(Patience, Cancelled);
            }
        });
        Assert.Equal((AbortCode.Reset, true), (abort.Reason.Code, abort.ByPeer));
    }

    [Fact]
    public async Task Disposal_after_our_end_with_a_mebibyte_unread_destroys_nothing_in_flight()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        var sending = SendAllAsync(raw, MiB);
        var counting = CountToEndAsync(raw);
        await stream.WriteAsync(new byte[MiB], Cancelled);
        await stream.CompleteWritesAsync(Cancelled);

        var disposal = stream.DisposeAsync().AsTask();

        Assert.Equal(MiB, await counting);
        await sending;
        raw.Shutdown(SocketShutdown.Send);
        await disposal.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Disposal_after_our_end_does_not_wait_for_a_peer_that_never_closes()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        await stream.CompleteWritesAsync(Cancelled);

        await stream.DisposeAsync().AsTask().WaitAsync(Patience, Cancelled);
    }

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
    public async Task End_behind_an_answer_is_an_end_although_the_peer_took_nothing_more()
    {
        for (var round = 0; round < 200; round++)
        {
            var (stream, raw) = await ConnectAsync();
            await using var __ = stream;
            var waiting = stream.ReadAsync(Memory<byte>.Empty, Cancelled).AsTask();
            raw.Send([1, 2, 3]);
            raw.Dispose();

            // The peer is gone, so this is answered with a reset, which comes behind its end.
            await stream.WriteAsync(new byte[1], Cancelled);

            await waiting.WaitAsync(Patience, Cancelled);
            Assert.Equal(3, await stream.ReadAsync(new byte[10], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
            Assert.Equal(0, await stream.ReadAsync(new byte[10], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        }
    }

    [Fact]
    public async Task Abort_closes_a_stream_that_had_failed_before()
    {
        var (stream, raw) = await ConnectAsync();
        raw.LingerState = new LingerOption(true, 0);
        raw.Dispose();
        await Assert.ThrowsAsync<StreamAbortedException>(() => stream.ReadAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));

        stream.Abort(new StreamAbort(AbortCode.Shutdown));

        Assert.Throws<ObjectDisposedException>(() => stream.Peek(new byte[1]));
        var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => stream.ReadAsync(new byte[1], Cancelled).AsTask());
        Assert.Equal(StreamAbort.Reset, abort.Reason);
        await stream.DisposeAsync();
    }

    [Fact]
    public async Task Detached_socket_still_has_what_was_only_looked_at()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        Assert.Equal(0, stream.Peek(new byte[10]));
        var waiting = stream.ReadAsync(Memory<byte>.Empty, Cancelled).AsTask();
        await raw.SendAsync(new byte[] { 1, 2, 3 }, Cancelled);
        await waiting.WaitAsync(Patience, Cancelled);
        var seen = new byte[10];
        Assert.Equal(3, stream.Peek(seen));
        Assert.Equal([1, 2, 3], seen[..3]);

        using var socket = stream.Detach();

        var buffer = new byte[10];
        Assert.Equal(3, await socket.ReceiveAsync(buffer, Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        Assert.Equal([1, 2, 3], buffer[..3]);
        var receiving = socket.ReceiveAsync(buffer, Cancelled).AsTask();
        await raw.SendAsync(new byte[] { 4 }, Cancelled);
        Assert.Equal(1, await receiving.WaitAsync(Patience, Cancelled));
    }

    [Fact]
    public async Task Look_at_a_connection_that_was_reset_says_so()
    {
        var (stream, raw) = await ConnectAsync();
        await using var __ = stream;
        var waiting = stream.ReadAsync(Memory<byte>.Empty, Cancelled).AsTask();
        raw.LingerState = new LingerOption(true, 0);
        raw.Dispose();

        var error = await Record.ExceptionAsync(async () =>
        {
            await waiting.WaitAsync(Patience, Cancelled);
            stream.Peek(new byte[1]);
        });
        Assert.True(error is SocketException or StreamAbortedException, $"{error}");
    }

    [Fact]
    public async Task Both_directions_carry_everything_while_sizes_and_pauses_vary()
    {
        const int Total = 8 * MiB;
        var pairs = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => ConnectAsync()));
        await Task.WhenAll(pairs.Select(async (pair, number) =>
        {
            await using var stream = pair.Stream;
            await using var peer = over(pair.Raw);
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

    private async Task<(SocketStream Stream, Socket Raw)> ConnectAsync()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var raw = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await raw.ConnectAsync(listener.LocalEndPoint!, Cancelled);
        return (over(await listener.AcceptAsync(Cancelled)), raw);
    }

    private static Task<int> ReceiveAsync(Socket socket) =>
        socket.ReceiveAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled);

    private static async Task SendAllAsync(Socket socket, int bytes)
    {
        for (var left = bytes; left > 0;)
        {
            left -= await socket.SendAsync(new byte[Math.Min(left, 64 * 1024)], Cancelled).AsTask().WaitAsync(Patience, Cancelled);
        }
    }

    private static async Task<int> CountToEndAsync(Socket socket)
    {
        var buffer = new byte[64 * 1024];
        var bytes = 0;
        while (await socket.ReceiveAsync(buffer, Cancelled).AsTask().WaitAsync(Patience, Cancelled) is > 0 and var count)
        {
            bytes += count;
        }

        return bytes;
    }
}
