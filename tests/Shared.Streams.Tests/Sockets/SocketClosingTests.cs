using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using Shared.Streams.Sockets;
using Shared.Streams.Sockets.Epoll;

namespace Shared.Streams.Tests.Sockets;

public sealed class EpollSocketClosingTests() : SocketClosingTests(static (socket, time) => new EpollSocketStream(socket, loop: null, time))
{
    // The runtime leaves a reader waiting until the socket is closed.
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

public sealed class RuntimeSocketClosingTests() : SocketClosingTests(static (socket, time) => new RuntimeSocketStream(socket, time));

/// <summary>
/// What was said last reaches a peer who has said more than anybody has read, and no peer is waited for without end. The clock stands still
/// unless a test lets it go on, so nothing here ends because its time is over.
/// </summary>
public abstract class SocketClosingTests : SocketPairTests
{
    private readonly FakeTimeProvider _time;

    protected SocketClosingTests(Func<Socket, TimeProvider, SocketStream> over)
        : this(over, new FakeTimeProvider())
    {
    }

    private SocketClosingTests(Func<Socket, TimeProvider, SocketStream> over, FakeTimeProvider time)
        : base(socket => over(socket, time)) => _time = time;

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
    public async Task Peer_who_has_closed_is_not_waited_for()
    {
        var (stream, raw) = await ConnectAsync();
        using var _ = raw;
        await raw.SendAsync(new byte[10], Cancelled);
        raw.Shutdown(SocketShutdown.Send);
        await stream.ReadAsync(Memory<byte>.Empty, Cancelled);
        await stream.CompleteWritesAsync(Cancelled);

        await stream.DisposeAsync().AsTask().WaitAsync(Patience, Cancelled);

        Assert.Equal(0, await ReceiveAsync(raw));
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
        var talking = talks ? TalkAsync(raw) : Task.CompletedTask;
        Assert.False(disposing.IsCompleted);

        _time.Advance(TimeSpan.FromSeconds(2));

        await disposing.WaitAsync(Patience, Cancelled);
        await talking.WaitAsync(Patience, Cancelled);
    }

    private static Task TalkAsync(Socket socket) => Assert.ThrowsAsync<SocketException>(async () =>
    {
        while (true)
        {
            await SendAllAsync(socket, MiB);
        }
    });
}
