using System.Net.Sockets;
using Shared.Streams.Sockets;
using Shared.Streams.Sockets.Epoll;

namespace Shared.Streams.Tests.Sockets;

public sealed class EpollSocketStreamTests() : SocketStreamTests(static socket => new EpollSocketStream(socket));

public sealed class RuntimeSocketStreamTests() : SocketStreamTests(static socket => new RuntimeSocketStream(socket));

/// <summary>What really is on the wire.</summary>
public abstract class SocketStreamTests(Func<Socket, SocketStream> over) : SocketPairTests(over)
{
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
    public async Task Disposal_after_our_end_does_not_wait_for_a_peer_that_never_closes()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        await stream.CompleteWritesAsync(Cancelled);

        await stream.DisposeAsync().AsTask().WaitAsync(Patience, Cancelled);
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
}
