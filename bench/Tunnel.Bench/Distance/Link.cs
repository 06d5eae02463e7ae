using System.Net;

namespace Tunnel.Bench.Distance;

/// <summary>What lies between the two halves of a way: nothing, or a distance.</summary>
internal sealed class Link : IAsyncDisposable
{
    private readonly List<DelayRelay> _relays = [];
    private readonly TimeSpan _oneWay;
    private readonly int _window;

    public Link(BenchOptions options)
    {
        (_oneWay, _window) = (TimeSpan.FromMilliseconds(options.RoundTripMilliseconds / 2), options.Window);
    }

    private Link()
    {
    }

    /// <summary>Gets a link of no length: whoever crosses it connects directly.</summary>
    public static Link None { get; } = new();

    /// <returns>Where to connect to reach the end point.</returns>
    public IPEndPoint Across(IPEndPoint target)
    {
        if (_window == 0)
        {
            return target;
        }

        var relay = new DelayRelay(target, _oneWay, _window, TimeProvider.System);
        _relays.Add(relay);
        return relay.Address;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var relay in _relays)
        {
            await relay.DisposeAsync();
        }
    }
}
