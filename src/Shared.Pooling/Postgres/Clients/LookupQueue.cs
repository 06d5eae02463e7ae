using Shared.Streams.Sockets;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>
/// Who may wait while users are looked up one after the other: only so many users at once, and a share of them for one address, so that whoever makes
/// names up holds up few others. Whoever asks for a user that somebody waits for already waits along. Safe for concurrent use.
/// </summary>
internal sealed class LookupQueue
{
    /// <summary>So many users at once.</summary>
    public const int MostUsers = 200;

    /// <summary>So many of them for one address (<see cref="RemoteNetwork"/>), but this host's own, where a proxy stands for many.</summary>
    public const int MostOfOneAddress = 50;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Place> _places = new(StringComparer.Ordinal);
    private readonly Dictionary<RemoteNetwork, int> _addresses = [];

    /// <summary>Takes a place; dispose it when the user was looked up.</summary>
    /// <param name="user">Who is looked up.</param>
    /// <param name="remote">Who asks: an address with its port, or the name of a Unix socket.</param>
    /// <returns>Null when there is none left.</returns>
    public IDisposable? TryEnter(string user, string remote)
    {
        var address = RemoteNetwork.OfAnotherHost(RemoteNetwork.AddressOf(remote));
        lock (_gate)
        {
            if (!_places.TryGetValue(user, out var place))
            {
                if (_places.Count >= MostUsers || (address is { } one && _addresses.GetValueOrDefault(one) >= MostOfOneAddress))
                {
                    return null;
                }

                if (address is { } counted)
                {
                    _addresses[counted] = _addresses.GetValueOrDefault(counted) + 1;
                }

                _places.Add(user, place = new Place(this, user, address));
            }

            place.Waiting++;
            return place;
        }
    }

    private void Leave(Place place)
    {
        lock (_gate)
        {
            if (--place.Waiting > 0)
            {
                return;
            }

            _places.Remove(place.User);
            if (place.Address is { } address && --_addresses[address] == 0)
            {
                _addresses.Remove(address);
            }
        }
    }

    private sealed class Place(LookupQueue queue, string user, RemoteNetwork? address) : IDisposable
    {
        public string User => user;

        public RemoteNetwork? Address => address;

        public int Waiting { get; set; }

        public void Dispose() => queue.Leave(this);
    }
}
