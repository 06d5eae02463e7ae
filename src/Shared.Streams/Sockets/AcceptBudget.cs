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

    /// <summary>Its holder has as many as one may.</summary>
    Holder,

    /// <summary>Strangers and holders have as many as they may together.</summary>
    Callers,
}

/// <summary>
/// How many accepted connections a process may have open, at all its listeners together. Whoever has not said yet what he wants is a newcomer, and when
/// all places are taken the oldest newcomer makes room: who stays silent keeps nobody out. Those who are served without having shown who they are,
/// strangers, get three quarters of the places at most. Of those who have, each holder has a share, and
/// all callers together, strangers and holders, leave an eighth to those who are recognized without one. Safe for concurrent use.
/// </summary>
/// <remarks>
/// A holder's share is what is left, if no number is given: one alone gets half of what callers may have, the next one half of the rest, and as
/// connections come and go all of them get equal shares, of which one is always left to whoever comes next.
/// Source: A. K. Choudhury, E. L. Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998.
/// </remarks>
/// <param name="connections">The most at once.</param>
/// <param name="perAddress">
/// The most newcomers and strangers of one address (<see cref="RemoteNetwork"/>). Does not hold for this host's own, where a proxy stands for many.
/// </param>
/// <param name="onRefused">
/// Told of each connection that is closed or refused for want of a place, where it came from, and its holder if that is why; must not block.
/// </param>
public sealed class AcceptBudget(int connections, int perAddress, Action<AcceptRefusal, IPAddress?, string?> onRefused)
{
    private readonly Lock _lock = new();
    private readonly LinkedList<AcceptPlace> _newcomers = new();
    private readonly Dictionary<RemoteNetwork, int> _addresses = [];
    private readonly Dictionary<string, int> _holders = new(StringComparer.Ordinal);
    private int _count;
    private int _strangers;
    private int _held;

    /// <summary>The most connections at once.</summary>
    public int Connections => connections;

    /// <summary>The most that newcomers and strangers of one address may have.</summary>
    public int PerAddress => perAddress;

    /// <summary>The most that strangers may have together.</summary>
    public int Strangers => connections - (connections / 4);

    /// <summary>The most that one holder may have; null for no more than are left to all callers.</summary>
    public int? PerHolder { get; init; }

    /// <summary>The most that strangers and holders may have together.</summary>
    public int Callers => connections - (connections / 8);

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

        onRefused(why, refused.Address, null);
        if (refused == place)
        {
            return null;
        }

        refused.Close();
        return place;
    }

    internal bool TrySettle(AcceptPlace place)
    {
        AcceptRefusal refusal;
        lock (_lock)
        {
            if (place.State != AcceptPlaceState.Newcomer)
            {
                return place.State != AcceptPlaceState.Left;
            }

            if (_strangers >= Strangers)
            {
                refusal = AcceptRefusal.Strangers;
            }
            else if (_strangers + _held >= Callers)
            {
                refusal = AcceptRefusal.Callers;
            }
            else
            {
                _newcomers.Remove(place.Newcomer);
                _strangers++;
                place.State = AcceptPlaceState.Stranger;
                return true;
            }
        }

        onRefused(refusal, place.Address, null);
        return false;
    }

    internal AcceptRefusal? Recognize(AcceptPlace place, string holder)
    {
        AcceptRefusal refusal;
        lock (_lock)
        {
            switch (place.State)
            {
                case AcceptPlaceState.Left:
                    return AcceptRefusal.Full;
                case AcceptPlaceState.Recognized:
                case AcceptPlaceState.Held when place.Holder == holder:
                    return null;
            }

            var left = Callers - _strangers - _held;
            if (_holders.GetValueOrDefault(holder) >= (PerHolder ?? Math.Max(1, left)))
            {
                refusal = AcceptRefusal.Holder;
            }
            else if (place.State == AcceptPlaceState.Newcomer && left <= 0)
            {
                refusal = AcceptRefusal.Callers;
            }
            else
            {
                Forget(place);
                _held++;
                _holders[holder] = _holders.GetValueOrDefault(holder) + 1;
                place.Holder = holder;
                place.State = AcceptPlaceState.Held;
                return null;
            }
        }

        onRefused(refusal, place.Address, holder);
        return refusal;
    }

    internal void Recognize(AcceptPlace place)
    {
        lock (_lock)
        {
            if (place.State is AcceptPlaceState.Newcomer or AcceptPlaceState.Stranger or AcceptPlaceState.Held)
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

    /// <summary>What is counted of newcomers, strangers and holders.</summary>
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
            case AcceptPlaceState.Held:
                _held--;
                if (--_holders[place.Holder!] == 0)
                {
                    _holders.Remove(place.Holder!);
                }

                place.Holder = null;
                return;
            default:
                return;
        }

        if (place.Network is { } network && --_addresses[network] == 0)
        {
            _addresses.Remove(network);
        }
    }
}
