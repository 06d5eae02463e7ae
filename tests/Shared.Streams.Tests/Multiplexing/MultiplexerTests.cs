using Microsoft.Extensions.Time.Testing;
using Shared.Streams.Memory;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using Shared.Streams.Tests.Conformance;

namespace Shared.Streams.Tests.Multiplexing;

/// <summary>Streams beside one another on one carrier, and how a carrier ends. What a single stream promises is the conformance suite's.</summary>
public sealed class MultiplexerTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Streams_that_nobody_reads_stall_no_other()
    {
        const int MiB = 1024 * 1024;
        await using var carrier = Connect();
        var stuck = new List<Task>();
        for (var i = 0; i < 200; i++)
        {
            // More than the credit, both ways: these writes never complete.
            var (left, right) = await carrier.OpenAsync();
            stuck.Add(WriteAsync(left));
            stuck.Add(WriteAsync(right));
        }

        var (near, far) = await carrier.OpenAsync();
        var sending = Task.Run(async () =>
        {
            await near.WriteAsync(new byte[64 * MiB], Cancelled);
            await near.CompleteWritesAsync(Cancelled);
        }, Cancelled);

        Assert.Equal(64 * MiB, await CountToEndAsync(far).WaitAsync(Patience, Cancelled));
        await sending;
        Assert.All(stuck, static write => Assert.False(write.IsCompleted));

        // The end of the test cuts it.
        static async Task WriteAsync(DuplexStream stream) => await Record.ExceptionAsync(async () => await stream.WriteAsync(new byte[MiB], Cancelled));
    }

    [Fact]
    public async Task A_thousand_streams_carry_their_own_bytes()
    {
        await using var carrier = Connect();
        var streams = new List<(DuplexStream Left, DuplexStream Right)>();
        for (var i = 0; i < 1000; i++)
        {
            streams.Add(await carrier.OpenAsync());
        }

        await Task.WhenAll(streams.Select(static (pair, number) => EchoAsync(pair.Left, pair.Right, BitConverter.GetBytes(number)))).WaitAsync(Patience, Cancelled);

        Assert.Equal(0, carrier.Opener.StreamCount);
        Assert.Equal(0, carrier.Acceptor.StreamCount);
    }

    [Fact]
    public async Task Bytes_may_be_written_before_the_answer()
    {
        await using var carrier = Connect();
        var left = carrier.Opener.Open(new Open("id", "service"));
        await left.WriteAsync("early"u8.ToArray(), Cancelled);
        var incoming = await carrier.NextAsync();
        Assert.Equal("service", incoming.Open.Service);
        Assert.False(left.Answer.IsCompleted);

        var right = await incoming.AcceptAsync(Cancelled);

        var buffer = new byte[16];
        Assert.Equal(5, await right.ReadAsync(buffer, Cancelled));
        Assert.IsType<Opened>(await left.Answer.WaitAsync(Patience, Cancelled));
    }

    [Fact]
    public async Task Refusal_is_the_answer_and_the_end()
    {
        await using var carrier = Connect();
        var left = carrier.Opener.Open(new Open("id", "service"));
        await left.WriteAsync("early"u8.ToArray(), Cancelled);

        await (await carrier.NextAsync()).RefuseAsync(new Refused("timeout", "no answer"), Cancelled);

        Assert.Equal(new Refused("timeout", "no answer"), await left.Answer.WaitAsync(Patience, Cancelled));
        await Assert.ThrowsAsync<StreamAbortedException>(async () => await left.ReadAsync(new byte[1], Cancelled));
        Assert.Equal(0, carrier.Opener.StreamCount);
        Assert.Equal(0, carrier.Acceptor.StreamCount);
        await EchoAsync(await carrier.OpenAsync());
    }

    [Fact]
    public async Task Lost_carrier_loses_its_streams_and_takes_no_more()
    {
        await using var carrier = Connect();
        var (left, right) = await carrier.OpenAsync();
        var waiting = carrier.Opener.Open(new Open("id", "service"));

        carrier.Acceptor.Abort(StreamAbort.Reset);

        foreach (var stream in new[] { left, right })
        {
            var lost = await Assert.ThrowsAsync<StreamAbortedException>(() => stream.ReadAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
            Assert.Equal((AbortCode.ConnectionLost, true), (lost.Reason.Code, lost.ByPeer));
        }

        await Assert.ThrowsAsync<StreamAbortedException>(() => waiting.Answer.WaitAsync(Patience, Cancelled));
        await Assert.ThrowsAnyAsync<IOException>(() => carrier.OpenerRun.WaitAsync(Patience, Cancelled));
        Assert.ThrowsAny<IOException>(() => carrier.Opener.Open(new Open("id", "service")));
    }

    [Fact]
    public async Task Stream_that_comes_while_the_carrier_is_lost_is_told_or_not_taken()
    {
        var (peer, ours) = MemoryDuplexStream.CreatePair();
        var time = new InterruptedTime();
        var taken = new List<MultiplexedStream>();
        var acceptor = new Multiplexer(ours, time, incoming =>
        {
            var stream = incoming.Stream;
            taken.Add(stream);
            if (taken.Count == 1)
            {
                // It happens while the second stream is made.
                var reading = stream.ReadAsync(new byte[1], Cancelled).AsTask();
                time.Interruption = () =>
                {
                    ours.Abort(StreamAbort.Reset);
                    _ = Task.Run(async () => await Record.ExceptionAsync(async () => await stream.WriteAsync(new byte[1], Cancelled)), Cancelled);
                    Assert.True(SpinWait.SpinUntil(() => reading.IsCompleted, Patience));
                };
            }
        });
        var running = acceptor.RunAsync();

        await peer.WriteAsync(new byte[][] { OpenFrame(1), OpenFrame(2) }.SelectMany(static frame => frame).ToArray(), Cancelled);

        await Assert.ThrowsAnyAsync<IOException>(() => running.WaitAsync(Patience, Cancelled));
        Assert.Null(time.Interruption);
        Assert.Equal(0, acceptor.StreamCount);
        foreach (var stream in taken)
        {
            await Assert.ThrowsAsync<StreamAbortedException>(() => stream.ReadAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        }
    }

    [Fact]
    public async Task Senders_that_give_up_while_they_wait_for_room_hold_up_no_other()
    {
        var (peer, ours) = MemoryDuplexStream.CreatePair();
        var opener = new Multiplexer(ours, TimeProvider.System);
        var run = opener.RunAsync();
        using var impatience = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        var patient = new List<Task>();
        var impatient = new List<Task>();

        // Nobody reads yet: after a few of them, all others wait for room, those that will give up before the others.
        for (var i = 0; i < 24; i++)
        {
            var stream = opener.Open(new Open("id", "service"));
            var writing = i < 16 ? stream.WriteAsync(new byte[ReceiveWindow.Initial], impatience.Token) : stream.WriteAsync(new byte[ReceiveWindow.Initial], Cancelled);
            (i < 16 ? impatient : patient).Add(writing.AsTask());
        }

        await impatience.CancelAsync();
        await Record.ExceptionAsync(() => Task.WhenAll(impatient).WaitAsync(Patience, Cancelled));
        Assert.InRange(impatient.Count(static writing => writing.IsCanceled), 8, 16);

        var reading = CountToEndAsync(peer);
        await Task.WhenAll(patient).WaitAsync(Patience, Cancelled);
        opener.Abort(StreamAbort.Dropped);
        await Record.ExceptionAsync(() => Task.WhenAll(run, reading).WaitAsync(Patience, Cancelled));
    }

    [Fact]
    public async Task Drained_carrier_ends_in_order_after_its_last_stream()
    {
        await using var carrier = Connect(new FakeTimeProvider());
        var (left, right) = await carrier.OpenAsync();

        carrier.Opener.Drain();

        Assert.False(carrier.Opener.TakesStreams);
        Assert.ThrowsAny<IOException>(() => carrier.Opener.Open(new Open("id", "service")));
        Assert.False(carrier.OpenerRun.IsCompleted);
        await EchoAsync((left, right));
        await carrier.OpenerRun.WaitAsync(Patience, Cancelled);
        await carrier.AcceptorRun.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Accepting_end_that_drains_loses_no_stream()
    {
        await using var carrier = Connect(new FakeTimeProvider());
        var running = await carrier.OpenAsync();

        carrier.Acceptor.Drain();

        // Some of these cross the drain, the others find it there already: none is lost, none hangs, none reaches the other end.
        for (var i = 0; i < 20; i++)
        {
            await Assert.ThrowsAnyAsync<IOException>(() => carrier.Opener.OpenAsync(new Open("id", "service"), early: null, Cancelled).WaitAsync(Patience, Cancelled));
        }

        Assert.False(carrier.OpenerRun.IsCompleted);
        await EchoAsync(running);
        await carrier.OpenerRun.WaitAsync(Patience, Cancelled);
        await carrier.AcceptorRun.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Leaving_is_told_of_one_stream_and_of_all_of_a_carrier_that_drains()
    {
        await using var carrier = Connect(new FakeTimeProvider());
        var (left, right) = await carrier.OpenAsync();
        var (other, otherRight) = await carrier.OpenAsync();
        Assert.False(left.IsLeaving || other.IsLeaving);

        right.TellLeaving();

        // Behind it, so that it has been heard.
        await right.WriteAsync("still here"u8.ToArray(), Cancelled);
        Assert.Equal(10, await left.ReadAsync(new byte[64], Cancelled));
        Assert.Equal((true, false), (left.IsLeaving, other.IsLeaving));

        // The end that opens streams has nothing to tell; saying it would break the protocol.
        left.TellLeaving();
        carrier.Acceptor.Drain();
        await otherRight.WriteAsync("here too"u8.ToArray(), Cancelled);
        Assert.Equal(8, await other.ReadAsync(new byte[64], Cancelled));
        Assert.True(other.IsLeaving);
        await EchoAsync((left, right));
        await EchoAsync((other, otherRight));
        await carrier.OpenerRun.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Stream_that_crosses_a_drain_was_not_taken()
    {
        var (peer, ours) = MemoryDuplexStream.CreatePair();
        var opener = new Multiplexer(ours, new FakeTimeProvider());
        var run = opener.RunAsync();
        var taken = opener.Open(new Open("id", "service"));
        var crossing = opener.Open(new Open("id", "service"));
        await crossing.WriteAsync("early"u8.ToArray(), Cancelled);

        var drain = new byte[FrameHeader.Size];
        new FrameHeader(taken.Id, FrameType.Drain, 0).Write(drain);
        await peer.WriteAsync(drain, Cancelled);

        await Assert.ThrowsAsync<StreamNotTakenException>(() => crossing.Answer.WaitAsync(Patience, Cancelled));
        await Assert.ThrowsAsync<StreamAbortedException>(async () => await crossing.ReadAsync(new byte[1], Cancelled));
        Assert.False(taken.Answer.IsCompleted);
        Assert.False(run.IsCompleted);
        taken.Abort(StreamAbort.Dropped);
        await CountToEndAsync(peer).WaitAsync(Patience, Cancelled);
        await peer.CompleteWritesAsync(Cancelled);
        await run.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Peer_that_says_nothing_any_more_is_given_up()
    {
        var time = new FakeTimeProvider();
        var (peer, ours) = MemoryDuplexStream.CreatePair();
        var running = new Multiplexer(ours, time).RunAsync();

        for (var i = 0; i < 30 && !running.IsCompleted; i++)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        var silent = await Assert.ThrowsAnyAsync<IOException>(() => running.WaitAsync(Patience, Cancelled));
        Assert.Contains("silent", silent.Message, StringComparison.Ordinal);
        await peer.DisposeAsync();
    }

    private static byte[] OpenFrame(uint stream)
    {
        var message = ProtocolCodec.Encode(new Open("id", "service"));
        var frame = new byte[FrameHeader.Size + message.Length];
        new FrameHeader(stream, FrameType.Message, message.Length).Write(frame);
        message.CopyTo(frame.AsSpan(FrameHeader.Size));
        return frame;
    }

    /// <summary>A carrier that ends gives its peer two seconds to do so, too, which a clock that stands still makes as long as it takes.</summary>
    private static CarrierPair Connect(TimeProvider? time = null)
    {
        var (left, right) = MemoryDuplexStream.CreatePair();
        return new CarrierPair(new StreamPair(left, right), time: time);
    }

    private static Task EchoAsync((DuplexStream Left, DuplexStream Right) pair) => EchoAsync(pair.Left, pair.Right, "echo"u8.ToArray());

    private static async Task EchoAsync(DuplexStream left, DuplexStream right, byte[] message)
    {
        var buffer = new byte[message.Length];
        await left.WriteAsync(message, Cancelled);
        await left.CompleteWritesAsync(Cancelled);
        for (var count = 0; count < buffer.Length;)
        {
            count += await right.ReadAsync(buffer.AsMemory(count), Cancelled);
        }

        await right.WriteAsync(buffer, Cancelled);
        await right.CompleteWritesAsync(Cancelled);
        Array.Clear(buffer);
        for (var count = 0; count < buffer.Length;)
        {
            count += await left.ReadAsync(buffer.AsMemory(count), Cancelled);
        }

        Assert.Equal(message, buffer);
        Assert.Equal(0, await left.ReadAsync(buffer, Cancelled));
        Assert.Equal(0, await right.ReadAsync(buffer, Cancelled));
    }

    private static async Task<int> CountToEndAsync(DuplexStream stream)
    {
        var buffer = new byte[64 * 1024];
        var total = 0;
        while (await stream.ReadAsync(buffer, Cancelled) is > 0 and var count)
        {
            total += count;
        }

        return total;
    }

    /// <summary>Something happens within the next look at the clock.</summary>
    private sealed class InterruptedTime : TimeProvider
    {
        private Action? _interruption;

        public Action? Interruption
        {
            get => _interruption;
            set => _interruption = value;
        }

        public override long GetTimestamp()
        {
            Interlocked.Exchange(ref _interruption, null)?.Invoke();
            return base.GetTimestamp();
        }
    }
}
