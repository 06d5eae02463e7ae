using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Tunnel.Bench.Contenders;

namespace Tunnel.Bench.Distance;

/// <summary>
/// An emulated distance: a loopback port that leads to a target, every byte taking a fixed time in each direction. A client's
/// kernel connects to it at once, so what a client sends first waits for the round trip that connecting would have taken.
/// </summary>
internal sealed class DelayRelay : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentDictionary<Task, byte> _connections = new();
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly IPEndPoint _target;
    private readonly TimeSpan _oneWay;
    private readonly int _window;
    private readonly TimeProvider _clock;
    private readonly Task _accepting;

    /// <param name="target">Where it leads to.</param>
    /// <param name="oneWay">How long a byte takes in each direction.</param>
    /// <param name="window">The bytes that each direction of a connection has on the way or not yet acknowledged, at most.</param>
    /// <param name="clock">Its clock.</param>
    public DelayRelay(IPEndPoint target, TimeSpan oneWay, int window, TimeProvider clock)
    {
        (_target, _oneWay, _window, _clock) = (target, oneWay, window, clock);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(128);
        Address = (IPEndPoint)_listener.LocalEndPoint!;
        _accepting = AcceptAsync();
    }

    public IPEndPoint Address { get; }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_connections.Keys);
        _stopping.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptAsync(_stopping.Token);
            }
            catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }

            var serving = ServeAsync(client);
            _connections[serving] = 0;
            _ = serving.ContinueWith(ended => _connections.TryRemove(ended, out var _), TaskScheduler.Default);
        }
    }

    private async Task ServeAsync(Socket client)
    {
        var connected = _clock.GetTimestamp() + (long)(2 * _oneWay.TotalSeconds * _clock.TimestampFrequency);
        using (client)
        {
            client.NoDelay = true;
            try
            {
                using var target = await SocketExactly.ConnectAsync(_target, _stopping.Token);
                await Task.WhenAll(
                    new DelayedPipe(client, target, _oneWay, _window, _clock).RunAsync(connected, _stopping.Token),
                    new DelayedPipe(target, client, _oneWay, _window, _clock).RunAsync(departure: 0, _stopping.Token));
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException or OperationCanceledException)
            {
                // Refused by the target, reset by one of the two, or the end of the run: what waits at the other end sees it closed.
            }
        }
    }
}
