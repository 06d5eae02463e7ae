using System.Collections.Concurrent;
using System.Net.Sockets;
using Shared.Streams.Sockets;

namespace Shared.Streams.Tests.Sockets;

public sealed class AcceptLoopTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static AcceptBudget Budget => new(1000, 1000, static (_, _, _) => Assert.Fail("there is room"));

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_connection_s_fault_is_told_and_disturbs_no_other()
    {
        using var stop = new CancellationTokenSource();
        var listener = StreamListener.Bind(ListenAddress.Parse("127.0.0.1:0"));
        var failures = new ConcurrentQueue<Exception>();
        var loop = AcceptLoop.RunAsync(listener, Budget, EchoOneByteAsync, failures.Enqueue, TimeProvider.System, stop.Token);

        using var faulty = await ConnectAsync(listener);
        await faulty.SendAsync(new byte[] { 0 }, Cancelled);
        await Assert.ThrowsAsync<SocketException>(() => faulty.ReceiveAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        using var good = await ConnectAsync(listener);
        await good.SendAsync(new byte[] { 7 }, Cancelled);
        var answer = new byte[1];
        Assert.Equal(1, await good.ReceiveAsync(answer, Cancelled).AsTask().WaitAsync(Patience, Cancelled));

        Assert.Equal(7, answer[0]);
        await stop.CancelAsync();
        await loop.WaitAsync(Patience, Cancelled);

        // The peer of the faulty one hears of it first.
        Assert.IsType<InvalidTimeZoneException>(Assert.Single(failures));
    }

    [Fact]
    public async Task Stopping_closes_the_listener_and_waits_for_what_was_accepted()
    {
        using var stop = new CancellationTokenSource();
        var listener = StreamListener.Bind(ListenAddress.Parse("127.0.0.1:0"));
        var serving = new TaskCompletionSource();
        var finish = new TaskCompletionSource();
        var loop = AcceptLoop.RunAsync(listener, Budget, async (accepted, _) =>
        {
            await using var stream = accepted.Stream;
            serving.SetResult();
            await finish.Task;
        }, static exception => Assert.Fail(exception.ToString()), TimeProvider.System, stop.Token);
        using var client = await ConnectAsync(listener);
        await serving.Task.WaitAsync(Patience, Cancelled);

        await stop.CancelAsync();

        await Assert.ThrowsAsync<SocketException>(async () =>
        {
            while (true)
            {
                using var late = await ConnectAsync(listener);
            }
        });
        Assert.False(loop.IsCompleted);
        finish.SetResult();
        await loop.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Burst_of_connections_is_served_to_the_last()
    {
        using var stop = new CancellationTokenSource();
        var listener = StreamListener.Bind(ListenAddress.Parse("127.0.0.1:0"));
        var clients = new List<Socket>();
        for (var number = 0; number < 100; number++)
        {
            clients.Add(await ConnectAsync(listener));
        }

        var loop = AcceptLoop.RunAsync(listener, Budget, EchoOneByteAsync, static exception => Assert.Fail(exception.ToString()), TimeProvider.System, stop.Token);

        foreach (var client in clients)
        {
            var answer = new byte[1];
            await client.SendAsync(new byte[] { 7 }, Cancelled);
            Assert.Equal(1, await client.ReceiveAsync(answer, Cancelled).AsTask().WaitAsync(Patience, Cancelled));
            client.Dispose();
        }

        await stop.CancelAsync();
        await loop.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Connection_without_a_place_is_closed_and_one_that_ends_gives_its_place_back()
    {
        using var stop = new CancellationTokenSource();
        var listener = StreamListener.Bind(ListenAddress.Parse("127.0.0.1:0"));
        var budget = new AcceptBudget(1, 1, static (_, _, _) => { });
        var served = new TaskCompletionSource();
        var loop = AcceptLoop.RunAsync(listener, budget, (accepted, stopped) =>
        {
            accepted.Place.Recognize();
            served.TrySetResult();
            return EchoOneByteAsync(accepted, stopped);
        }, static exception => Assert.Fail(exception.ToString()), TimeProvider.System, stop.Token);
        using var first = await ConnectAsync(listener);
        await served.Task.WaitAsync(Patience, Cancelled);

        await Assert.ThrowsAsync<SocketException>(async () =>
        {
            // The reset may come before connecting has been told.
            using var second = await ConnectAsync(listener);
            await second.ReceiveAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled);
        });

        await first.SendAsync(new byte[] { 7 }, Cancelled);
        Assert.Equal(1, await first.ReceiveAsync(new byte[1], Cancelled));
        first.Dispose();
        while (budget.Count > 0)
        {
            await Task.Delay(10, Cancelled);
        }

        using var third = await ConnectAsync(listener);
        await third.SendAsync(new byte[] { 7 }, Cancelled);
        Assert.Equal(1, await third.ReceiveAsync(new byte[1], Cancelled));
        await stop.CancelAsync();
        await loop.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Listener_that_somebody_closes_ends_the_loop()
    {
        var listener = StreamListener.Bind(ListenAddress.Parse("127.0.0.1:0"));
        var loop = AcceptLoop.RunAsync(listener, Budget, EchoOneByteAsync, static exception => Assert.Fail(exception.ToString()), TimeProvider.System, Cancelled);

        await listener.DisposeAsync();

        await loop.WaitAsync(Patience, Cancelled);
    }

    private static async Task<Socket> ConnectAsync(StreamListener listener)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(listener.LocalAddress.IPEndPoint!, Cancelled);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task EchoOneByteAsync(AcceptedConnection accepted, CancellationToken cancellationToken)
    {
        await using var stream = accepted.Stream;
        var buffer = new byte[1];
        await stream.ReadAsync(buffer, cancellationToken);
        if (buffer[0] == 0)
        {
            throw new InvalidTimeZoneException("a fault that nobody expects");
        }

        await stream.WriteAsync(buffer, cancellationToken);
        await stream.CompleteWritesAsync(cancellationToken);
    }
}
