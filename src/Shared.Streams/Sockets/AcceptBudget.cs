using System.Net;

namespace Shared.Streams.Sockets;

/// <summary>Why a connection was closed that nobody had to answer.</summary>
public enum AcceptRefusal
{
    /// <summary>All places are taken.</summary>
    Full,

    /// <summary>Its address has as many as it may without having shown who it is.</summary>
    Address,

    /// <summary>Strangers have as many as they may together.</summary>
    Strangers,
}

/// <summary>
/// How many accepted connections a process may have open, at all its listeners together. Whoever has not said yet what he wants is a newcomer, and when
/// all places are taken the oldest newcomer makes room: who stays silent keeps nobody out. Those who are served without having shown who they are,
/// strangers, get three quarters of the places at most, so that those who can show it always find one. Safe for concurrent use.
/// </summary>
/// <param name="connections">The most at once.</param>
/// <param name="perAddress">
/// The most newcomers and strangers of one address (<see cref="RemoteNetwork"/>). Does not hold for this host's own, where a proxy stands for many.
/// </param>
/// <param name="onRefused">Told of each connection that is closed for want of a place, and where it came from; must not block.</param>
public sealed class AcceptBudget(int connections, int perAddress, Action<AcceptRefusal, IPAddress?> onRefused)
{
    private readonly Lock _lock = new();
    private readonly LinkedList<AcceptPlace> _newcomers = new();
    private readonly Dictionary<RemoteNetwork, int> _addresses = [];
    private int _count;
    private int _strangers;

    /// <summary>The most connections at once.</summary>
    public int Connections => connections;

    /// <summary>The most that newcomers and strangers of one address may have.</summary>
    public int PerAddress => perAddress;

    /// <summary>The most that strangers may have together.</summary>
    public int Strangers => connections - (connections / 4);

    /// <summary>How many there are now.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>A place for a newcomer, or null when there is none.</summary>
    /// <param name="address">Where he comes from; null for a Unix socket.</param>
    /// <param name="close">Closes his connection when another newcomer needs the place; must not block.</param>
    public AcceptPlace? TryTake(IPAddress? address, Action close)
    {
        var place = new AcceptPlace(this, address, close);
        AcceptRefusal? refusal = null;
        AcceptPlace? refused = place;
        lock (_lock)
        {
            if (place.Network is { } network && _addresses.GetValueOrDefault(network) >= perAddress)
            {
                refusal = AcceptRefusal.Address;
            }
            else if (_count >= connections)
            {
                refusal = AcceptRefusal.Full;
                refused = _newcomers.First?.Value ?? place;
            }

            if (refused != place)
            {
                Remove(refused);
            }

            if (refusal is null || refused != place)
            {
                Add(place);
            }
        }

        if (refusal is not { } why)
        {
            return place;
        }

        onRefused(why, refused.Address);
        if (refused == place)
        {
            return null;
        }

        refused.Close();
        return place;
    }

    internal bool TrySettle(AcceptPlace place)
    {
        lock (_lock)
        {
            if (place.State != AcceptPlaceState.Newcomer)
            {
                return place.State != AcceptPlaceState.Left;
            }

            if (_strangers < Strangers)
            {
                _newcomers.Remove(place.Newcomer);
                _strangers++;
                place.State = AcceptPlaceState.Stranger;
                return true;
            }
        }

        onRefused(AcceptRefusal.Strangers, place.Address);
        return false;
    }

    internal void Recognize(AcceptPlace place)
    {
        lock (_lock)
        {
            if (place.State is AcceptPlaceState.Newcomer or AcceptPlaceState.Stranger)
            {
                Forget(place);
                place.State = AcceptPlaceState.Recognized;
            }
        }
    }

    internal bool TryHandOver(AcceptPlace place, Action close)
    {
        lock (_lock)
        {
            place.Close = close;
            return place.State != AcceptPlaceState.Left;
        }
    }

    internal void Leave(AcceptPlace place)
    {
        lock (_lock)
        {
            Remove(place);
        }
    }

    private void Add(AcceptPlace place)
    {
        _count++;
        _newcomers.AddLast(place.Newcomer);
        place.State = AcceptPlaceState.Newcomer;
        if (place.Network is { } network)
        {
            _addresses[network] = _addresses.GetValueOrDefault(network) + 1;
        }
    }

    private void Remove(AcceptPlace place)
    {
        if (place.State != AcceptPlaceState.Left)
        {
            Forget(place);
            _count--;
            place.State = AcceptPlaceState.Left;
        }
    }

    /// <summary>What is counted of those who have not shown who they are.</summary>
    private void Forget(AcceptPlace place)
    {
        switch (place.State)
        {
            case AcceptPlaceState.Newcomer:
                _newcomers.Remove(place.Newcomer);
                break;
            case AcceptPlaceState.Stranger:
                _strangers--;
                break;
            default:
                return;
        }

        if (place.Network is { } network && --_addresses[network] == 0)
        {
            _addresses.Remove(network);
        }
    }
}
