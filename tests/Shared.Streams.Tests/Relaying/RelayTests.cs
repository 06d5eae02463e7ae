using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.Extensions.Time.Testing;
using Shared.Streams.Memory;
using Shared.Streams.Relaying;
using Shared.Streams.Sockets;

namespace Shared.Streams.Tests.Relaying;

public sealed class RelayTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Sixty_four_MiB_after_the_peers_FIN_arrive_whole(bool applicationEndsFirst)
    {
        using var wire = await Wire.ConnectAsync();
        var (first, second) = applicationEndsFirst ? (wire.Application, wire.Target) : (wire.Target, wire.Application);
        first.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, await second.ReceiveAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        var data = RandomNumberGenerator.GetBytes(64 * 1024 * 1024);

        var sending = SendAllAsync(second, data);
        var received = await ReceiveAllAsync(first).WaitAsync(Patience, Cancelled);
        await sending;

        Assert.Equal(SHA256.HashData(data), SHA256.HashData(received));
        var result = await wire.Relay.WaitAsync(Patience, Cancelled);
        Assert.Equal(RelayEnd.Completed, result.End);
        Assert.Equal(applicationEndsFirst ? RelaySide.Application : RelaySide.Target, result.EndedBy);
        Assert.Equal(data.Length, applicationEndsFirst ? result.BytesToApplication : result.BytesToTarget);
        Assert.Equal(0, applicationEndsFirst ? result.BytesToTarget : result.BytesToApplication);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Reset_of_one_socket_is_a_reset_of_the_other(bool applicationResets)
    {
        using var wire = await Wire.ConnectAsync();
        var (resetting, other) = applicationResets ? (wire.Application, wire.Target) : (wire.Target, wire.Application);
        resetting.LingerState = new LingerOption(true, 0);

        resetting.Close();

        var exception = await Assert.ThrowsAsync<SocketException>(() => other.ReceiveAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        Assert.Equal(SocketError.ConnectionReset, exception.SocketErrorCode);
        var result = await wire.Relay.WaitAsync(Patience, Cancelled);
        Assert.Equal(RelayEnd.Aborted, result.End);
        Assert.Equal(applicationResets ? RelaySide.Application : RelaySide.Target, result.EndedBy);
        Assert.Equal(AbortCode.Reset, result.Reason!.Value.Code);
    }

    [Fact]
    public async Task Reset_right_after_the_last_write_is_never_a_clean_short_end()
    {
        using var wire = await Wire.ConnectAsync();
        await SendAllAsync(wire.Application, new byte[1024 * 1024], end: false);
        wire.Application.LingerState = new LingerOption(true, 0);
        wire.Application.Close();

        await Assert.ThrowsAsync<SocketException>(() => ReceiveAllAsync(wire.Target).WaitAsync(Patience, Cancelled));
    }

    [Fact]
    public async Task Abort_reaches_the_other_stream_with_its_reason()
    {
        var (application, near) = MemoryDuplexStream.CreatePair();
        var (far, target) = MemoryDuplexStream.CreatePair();
        var relay = Relay.RunAsync(near, far, new RelayOptions(), TimeProvider.System);

        target.Abort(new StreamAbort(AbortCode.Revoked, "why"));

        var seen = await Assert.ThrowsAsync<StreamAbortedException>(async () => await application.ReadAsync(new byte[1], Cancelled));
        Assert.Equal(new StreamAbort(AbortCode.Revoked, "why"), seen.Reason);
        Assert.Equal((RelayEnd.Aborted, RelaySide.Target), ((await relay).End, (await relay).EndedBy!.Value));
    }

    [Fact]
    public async Task Cut_by_our_own_program_blames_nobody()
    {
        var (application, near) = MemoryDuplexStream.CreatePair();
        var (far, target) = MemoryDuplexStream.CreatePair();
        var set = new StreamSet<string>();
        using var entry = set.Add("a", near, far);
        var relay = Relay.RunAsync(near, far, new RelayOptions(), TimeProvider.System);

        Assert.Equal(0, set.Abort(static info => info == "b", StreamAbort.Reset));
        Assert.Equal(1, set.Abort(static info => info == "a", new StreamAbort(AbortCode.Shutdown, "drain")));

        var result = await relay.WaitAsync(Patience, Cancelled);
        Assert.Equal(new RelayResult(RelayEnd.Cut, null, new StreamAbort(AbortCode.Shutdown, "drain"), 0, 0), result);
        await Assert.ThrowsAsync<StreamAbortedException>(async () => await application.ReadAsync(new byte[1], Cancelled));
        await Assert.ThrowsAsync<StreamAbortedException>(async () => await target.ReadAsync(new byte[1], Cancelled));
    }

    [Fact]
    public async Task Half_closed_and_silent_stream_is_cut_after_the_limit_and_a_moving_one_is_not()
    {
        var time = new FakeTimeProvider();
        var (application, near) = MemoryDuplexStream.CreatePair();
        var (far, target) = MemoryDuplexStream.CreatePair();
        var relay = Relay.RunAsync(near, far, new RelayOptions { HalfCloseTimeout = TimeSpan.FromMinutes(15) }, time);
        await application.CompleteWritesAsync(Cancelled);
        Assert.Equal(0, await target.ReadAsync(new byte[1], Cancelled));

        for (var i = 0; i < 5; i++)
        {
            // A byte is counted after it has arrived, but before the next one is carried.
            for (var bytes = 0; bytes < 2; bytes++)
            {
                await target.WriteAsync(new byte[1], Cancelled);
                Assert.Equal(1, await application.ReadAsync(new byte[1], Cancelled));
            }

            time.Advance(TimeSpan.FromMinutes(14));
            Assert.False(relay.IsCompleted);
        }

        time.Advance(TimeSpan.FromMinutes(30));
        var result = await relay.WaitAsync(Patience, Cancelled);
        Assert.Equal((RelayEnd.TimedOut, AbortCode.Timeout), (result.End, result.Reason!.Value.Code));
    }

    [Fact]
    public async Task Silence_alone_is_never_cut()
    {
        var time = new FakeTimeProvider();
        var (application, near) = MemoryDuplexStream.CreatePair();
        var (far, target) = MemoryDuplexStream.CreatePair();
        var relay = Relay.RunAsync(near, far, new RelayOptions(), time);

        time.Advance(TimeSpan.FromDays(30));
        await application.WriteAsync(new byte[7], Cancelled);

        Assert.Equal(7, await target.ReadAsync(new byte[16], Cancelled));
        Assert.False(relay.IsCompleted);
        application.Abort(StreamAbort.Reset);
        await relay.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Idle_stream_holds_no_buffer()
    {
        var pool = new CountingPool();
        var (application, near) = MemoryDuplexStream.CreatePair();
        var (far, target) = MemoryDuplexStream.CreatePair();
        var relay = Relay.RunAsync(near, far, new RelayOptions { Buffers = pool }, TimeProvider.System);
        Assert.Equal(0, pool.Rented);

        await application.WriteAsync(new byte[10_000], Cancelled);
        for (var left = 10_000; left > 0;)
        {
            left -= await target.ReadAsync(new byte[left], Cancelled);
        }

        Assert.True(pool.EverRented > 0);
        Assert.True(SpinWait.SpinUntil(() => pool.Rented == 0, Patience));
        application.Abort(StreamAbort.Reset);
        await relay.WaitAsync(Patience, Cancelled);
        Assert.Equal(0, pool.Rented);
    }

    [Fact]
    public async Task Slow_reader_slows_the_writer_down()
    {
        var (application, near) = MemoryDuplexStream.CreatePair();
        var (far, target) = MemoryDuplexStream.CreatePair();
        var relay = Relay.RunAsync(near, far, new RelayOptions(), TimeProvider.System);
        using var cancel = new CancellationTokenSource();

        var writing = application.WriteAsync(new byte[16 * 1024 * 1024], cancel.Token).AsTask();
        for (var left = 16 * 1024 * 1024; left > 0;)
        {
            Assert.False(writing.IsCompleted && left > 512 * 1024);
            left -= await target.ReadAsync(new byte[64 * 1024], Cancelled);
        }

        await writing;
        application.Abort(StreamAbort.Reset);
        await relay.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task A_thousand_streams_at_once_carry_their_own_bytes()
    {
        await Task.WhenAll(Enumerable.Range(0, 1000).Select(async seed =>
        {
            var (application, near) = MemoryDuplexStream.CreatePair();
            var (far, target) = MemoryDuplexStream.CreatePair();
            var relay = Relay.RunAsync(near, far, new RelayOptions(), TimeProvider.System);
            var data = new byte[200_000];
            new Random(seed).NextBytes(data);
            var echo = EchoAsync(target);
            var sending = Task.Run(async () =>
            {
                await application.WriteAsync(data, Cancelled);
                await application.CompleteWritesAsync(Cancelled);
            }, Cancelled);
            var received = new MemoryStream();
            var buffer = new byte[8192];
            while (await application.ReadAsync(buffer, Cancelled) is > 0 and var count)
            {
                await received.WriteAsync(buffer.AsMemory(0, count), Cancelled);
            }

            await sending;
            await echo;
            Assert.True(data.AsSpan().SequenceEqual(received.ToArray()));
            var result = await relay;
            Assert.Equal((RelayEnd.Completed, data.Length, data.Length), (result.End, result.BytesToTarget, result.BytesToApplication));
        })).WaitAsync(TimeSpan.FromSeconds(60), Cancelled);
    }

    [Fact]
    public async Task Waiting_for_an_empty_set_ends_with_the_last_stream()
    {
        var set = new StreamSet<int>();
        var (application, target) = MemoryDuplexStream.CreatePair();
        var (first, second) = (set.Add(1, application, target), set.Add(2, application, target));
        var empty = set.WhenEmptyAsync(Cancelled);
        first.Dispose();
        first.Dispose();
        Assert.Equal((1, false), (set.Count, empty.IsCompleted));

        second.Dispose();

        await empty.WaitAsync(Patience, Cancelled);
        await set.WhenEmptyAsync(Cancelled);
    }

    [Fact]
    public async Task Closed_set_cuts_also_what_is_added_later()
    {
        var set = new StreamSet<int>();
        var reason = new StreamAbort(AbortCode.Shutdown, "over");
        var (before, after) = (MemoryDuplexStream.CreatePair(), MemoryDuplexStream.CreatePair());
        using var first = set.Add(1, before.First.Abort);
        set.Close(reason);

        using var second = set.Add(2, after.First.Abort);

        foreach (var peer in new[] { before.Second, after.Second })
        {
            var cut = await Assert.ThrowsAsync<StreamAbortedException>(() => peer.ReadAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
            Assert.Equal(reason, cut.Reason);
        }

        Assert.Equal(2, set.Count);
    }

    private static async Task EchoAsync(DuplexStream stream)
    {
        var buffer = new byte[4096];
        while (await stream.ReadAsync(buffer, Cancelled) is > 0 and var count)
        {
            await stream.WriteAsync(buffer.AsMemory(0, count), Cancelled);
        }

        await stream.CompleteWritesAsync(Cancelled);
    }

    private static async Task SendAllAsync(Socket socket, byte[] data, bool end = true)
    {
        for (var sent = 0; sent < data.Length;)
        {
            sent += await socket.SendAsync(data.AsMemory(sent), Cancelled);
        }

        if (end)
        {
            socket.Shutdown(SocketShutdown.Send);
        }
    }

    private static async Task<byte[]> ReceiveAllAsync(Socket socket)
    {
        var all = new MemoryStream();
        var buffer = new byte[64 * 1024];
        while (await socket.ReceiveAsync(buffer, Cancelled) is > 0 and var count)
        {
            await all.WriteAsync(buffer.AsMemory(0, count), Cancelled);
        }

        return all.ToArray();
    }

    /// <summary>Raw socket — relay — raw socket, to see FIN and RST as an application and a target do.</summary>
    private sealed class Wire(Socket application, Socket target, Task<RelayResult> relay) : IDisposable
    {
        public Socket Application => application;

        public Socket Target => target;

        public Task<RelayResult> Relay => relay;

        public static async Task<Wire> ConnectAsync()
        {
            await using var listener = StreamListener.Bind(ListenAddress.Parse("127.0.0.1:0"));
            var (application, near) = await PairAsync(listener);
            var (target, far) = await PairAsync(listener);
            return new Wire(application, target, Streams.Relaying.Relay.RunAsync(near, far, new RelayOptions(), TimeProvider.System));
        }

        public void Dispose()
        {
            application.Dispose();
            target.Dispose();
        }

        private static async Task<(Socket Raw, DuplexStream Stream)> PairAsync(StreamListener listener)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, listener.LocalAddress.IPEndPoint!.Port), Cancelled);
            return (socket, (await listener.AcceptAsync(Cancelled)).Stream);
        }
    }

    private sealed class CountingPool : ArrayPool<byte>
    {
        private int _rented;
        private int _everRented;

        public int Rented => Volatile.Read(ref _rented);

        public int EverRented => Volatile.Read(ref _everRented);

        public override byte[] Rent(int minimumLength)
        {
            Interlocked.Increment(ref _rented);
            Interlocked.Increment(ref _everRented);
            return Shared.Rent(minimumLength);
        }

        public override void Return(byte[] array, bool clearArray = false)
        {
            Interlocked.Decrement(ref _rented);
            Shared.Return(array, clearArray);
        }
    }
}
