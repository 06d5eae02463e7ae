using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.Extensions.Time.Testing;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Distance;

namespace Tunnel.Bench.Tests;

public sealed class DelayedPipeTests : IAsyncDisposable
{
    private const int Window = 300_000;

    private static readonly TimeSpan OneWay = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(1);

    private readonly FakeTimeProvider _clock = new();
    private readonly CancellationTokenSource _limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly List<Socket> _sockets = [];
    private Task _running = Task.CompletedTask;

    [Fact]
    public async Task A_byte_does_not_arrive_before_its_time()
    {
        var (pipe, near, far) = await StartAsync();
        var begin = _clock.GetTimestamp();
        await near.SendExactlyAsync(new byte[1], _limit.Token);
        await WaitAsync(() => pipe.OnTheWay == 1);

        await AdvanceUntilAsync(far.ReceiveExactlyAsync(new byte[1], _limit.Token));

        Assert.True(_clock.GetElapsedTime(begin) >= OneWay);
    }

    [Fact]
    public async Task What_comes_before_the_departure_waits_for_it()
    {
        var (pipe, near, far) = await StartAsync(departure: OneWay * 2);
        var begin = _clock.GetTimestamp();
        await near.SendExactlyAsync(new byte[1], _limit.Token);
        await WaitAsync(() => pipe.OnTheWay == 1);

        await AdvanceUntilAsync(far.ReceiveExactlyAsync(new byte[1], _limit.Token));

        Assert.True(_clock.GetElapsedTime(begin) >= OneWay * 3);
    }

    [Fact]
    public async Task A_whole_window_is_on_the_way_at_once_and_arrives_in_order()
    {
        var (pipe, near, far) = await StartAsync();
        var begin = _clock.GetTimestamp();
        var sent = RandomNumberGenerator.GetBytes(Window);
        await near.SendExactlyAsync(sent, _limit.Token);
        await WaitAsync(() => pipe.OnTheWay == Window);
        var received = new byte[Window];

        await AdvanceUntilAsync(far.ReceiveExactlyAsync(received, _limit.Token));

        Assert.Equal(sent, received);
        Assert.True(_clock.GetElapsedTime(begin) >= OneWay);
    }

    [Fact]
    public async Task What_is_beyond_the_window_waits_for_the_acknowledgement()
    {
        var (pipe, near, far) = await StartAsync();
        var begin = _clock.GetTimestamp();
        var sent = RandomNumberGenerator.GetBytes(Window + 1);
        var sending = near.SendExactlyAsync(sent, _limit.Token);
        await WaitAsync(() => pipe.OnTheWay == Window);
        var received = new byte[Window + 1];
        await AdvanceUntilAsync(far.ReceiveExactlyAsync(received.AsMemory(0, Window), _limit.Token));

        await AdvanceUntilAsync(far.ReceiveExactlyAsync(received.AsMemory(Window), _limit.Token));

        await sending;
        Assert.Equal(sent, received);
        Assert.True(_clock.GetElapsedTime(begin) >= OneWay * 3);
    }

    [Fact]
    public async Task Many_windows_pass_in_order_and_then_the_end()
    {
        var (_, near, far) = await StartAsync();
        var sent = RandomNumberGenerator.GetBytes(5 * Window);
        var sending = SendAndEndAsync();
        var received = new byte[sent.Length];

        await AdvanceUntilAsync(far.ReceiveExactlyAsync(received, _limit.Token));
        await sending;
        var end = far.ReceiveAsync(new byte[1], _limit.Token).AsTask();
        await AdvanceUntilAsync(end);

        Assert.Equal(sent, received);
        Assert.Equal(0, await end);

        async Task SendAndEndAsync()
        {
            await near.SendExactlyAsync(sent, _limit.Token);
            near.Shutdown(SocketShutdown.Send);
        }
    }

    [Fact]
    public async Task A_reset_passes()
    {
        var (_, near, far) = await StartAsync();
        near.LingerState = new LingerOption(enable: true, seconds: 0);
        near.Close();

        var receiving = far.ReceiveAsync(new byte[1], _limit.Token).AsTask();
        await AdvanceUntilAsync(receiving);

        var exception = await Assert.ThrowsAsync<SocketException>(() => receiving);
        Assert.Equal(SocketError.ConnectionReset, exception.SocketErrorCode);
    }

    public async ValueTask DisposeAsync()
    {
        await _limit.CancelAsync();
        await _running.ContinueWith(static _ => { }, TaskScheduler.Default);
        _sockets.ForEach(socket => socket.Dispose());
        _limit.Dispose();
    }

    /// <returns>A pipe that runs, the socket whose bytes it takes, and the one where they arrive.</returns>
    private async Task<(DelayedPipe Pipe, Socket Near, Socket Far)> StartAsync(TimeSpan departure = default)
    {
        _limit.CancelAfter(Patience);
        var (near, from) = await ConnectAsync();
        var (far, to) = await ConnectAsync();
        var pipe = new DelayedPipe(from, to, OneWay, Window, _clock);
        _running = pipe.RunAsync(_clock.GetTimestamp() + (long)(departure.TotalSeconds * _clock.TimestampFrequency), _limit.Token);
        return (pipe, near, far);
    }

    private async Task<(Socket Client, Socket Server)> ConnectAsync()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        var client = await SocketExactly.ConnectAsync(listener.LocalEndPoint!, _limit.Token);
        _sockets.Add(client);
        var server = await listener.AcceptAsync(_limit.Token);
        _sockets.Add(server);
        return (client, server);
    }

    private async Task WaitAsync(Func<bool> condition)
    {
        while (!condition())
        {
            await Task.Delay(Step, _limit.Token);
        }
    }

    /// <summary>In small steps, and never once only: the pipe reads the clock before it arms a timer, and may do so at any moment.</summary>
    private async Task AdvanceUntilAsync(Task task)
    {
        while (!task.IsCompleted)
        {
            _clock.Advance(Step);
            await Task.WhenAny(task, Task.Delay(Step, _limit.Token));
        }

        _limit.Token.ThrowIfCancellationRequested();
    }
}
