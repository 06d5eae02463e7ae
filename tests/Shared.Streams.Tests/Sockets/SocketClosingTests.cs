using System.Net.Sockets;
using Shared.Streams.Sockets;
using Shared.Streams.Sockets.Epoll;

namespace Shared.Streams.Tests.Sockets;

public sealed class EpollSocketClosingTests() : SocketClosingTests(static socket => new EpollSocketStream(socket));

public sealed class RuntimeSocketClosingTests() : SocketClosingTests(static socket => new RuntimeSocketStream(socket));

/// <summary>What was said last reaches a peer who has said more than anybody has read, and no peer is waited for without end.</summary>
public abstract class SocketClosingTests(Func<Socket, SocketStream> over) : SocketPairTests(over)
{
    [Theory]
    [InlineData(1)]
    [InlineData(8 * MiB)]
    public async Task Last_words_reach_a_peer_who_is_still_talking(int bytes)
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        var sending = SendAllAsync(raw, bytes);
        await stream.WriteAsync(new byte[1000], Cancelled);
        await stream.CompleteWritesAsync(Cancelled);

        var disposing = stream.DisposeAsync().AsTask();

        await sending;
        Assert.Equal(1000, await CountToEndAsync(raw));
        Assert.False(disposing.IsCompleted);
        raw.Shutdown(SocketShutdown.Send);
        await disposing.WaitAsync(Patience, Cancelled);
        Assert.Throws<ObjectDisposedException>(() => stream.Peek(new byte[1]));
    }

    [Fact]
    public async Task Peer_who_has_closed_is_not_waited_for()
    {
        var (stream, raw) = await ConnectAsync();
        await raw.SendAsync(new byte[10], Cancelled);
        raw.Shutdown(SocketShutdown.Send);
        await stream.ReadAsync(Memory<byte>.Empty, Cancelled);
        await stream.CompleteWritesAsync(Cancelled);

        await stream.DisposeAsync().AsTask().WaitAsync(Patience, Cancelled);

        Assert.Equal(0, await ReceiveAsync(raw));
        raw.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Peer_who_never_closes_is_given_up(bool talks)
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        await stream.CompleteWritesAsync(Cancelled);
        var disposing = stream.DisposeAsync().AsTask();

        if (talks)
        {
            await Assert.ThrowsAsync<SocketException>(async () =>
            {
                while (true)
                {
                    await SendAllAsync(raw, MiB);
                }
            });
        }

        await disposing.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Reader_who_waits_learns_that_the_stream_is_gone_before_its_peer_closes()
    {
        var (stream, raw) = await ConnectAsync();
        var reading = stream.ReadAsync(new byte[1], Cancelled).AsTask();
        await stream.CompleteWritesAsync(Cancelled);

        var disposing = stream.DisposeAsync().AsTask();

        var abort = await Assert.ThrowsAsync<StreamAbortedException>(() => reading.WaitAsync(Patience, Cancelled));
        Assert.Equal(AbortCode.Dropped, abort.Reason.Code);
        raw.Dispose();
        await disposing.WaitAsync(Patience, Cancelled);
    }
}
