using System.Net;
using System.Net.Sockets;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>
/// Who may wait while users are looked up one after the other: only so many users at once, and a share of them for one address, so that whoever makes
/// names up holds up few others. Whoever asks for a user that somebody waits for already waits along. Safe for concurrent use.
/// </summary>
internal sealed class LookupQueue
{
    /// <summary>So many users at once.</summary>
    public const int MostUsers = 200;

    /// <summary>So many of them for one address (IPv6: for one /64, the least that a subscriber has).</summary>
    public const int MostOfOneAddress = 50;

    private const int NetworkLength = 8;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Place> _places = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _addresses = new(StringComparer.Ordinal);

    /// <summary>Takes a place; dispose it when the user was looked up.</summary>
    /// <param name="user">Who is looked up.</param>
    /// <param name="remote">Who asks: an address with its port, or the name of a Unix socket.</param>
    /// <returns>Null when there is none left.</returns>
    public IDisposable? TryEnter(string user, string remote)
    {
        var address = AddressOf(remote);
        lock (_gate)
        {
            if (!_places.TryGetValue(user, out var place))
            {
                var others = _addresses.GetValueOrDefault(address);
                if (_places.Count >= MostUsers || others >= MostOfOneAddress)
                {
                    return null;
                }

                _addresses[address] = others + 1;
                _places.Add(user, place = new Place(this, user, address));
            }

            place.Waiting++;
            return place;
        }
    }

    private static string AddressOf(string remote)
    {
        if (!IPEndPoint.TryParse(remote, out var endPoint))
        {
            return remote;
        }

        var address = endPoint.Address.IsIPv4MappedToIPv6 ? endPoint.Address.MapToIPv4() : endPoint.Address;
        return address.AddressFamily == AddressFamily.InterNetworkV6 ? Convert.ToHexString(address.GetAddressBytes().AsSpan(0, NetworkLength)) : address.ToString();
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
            if (--_addresses[place.Address] == 0)
            {
                _addresses.Remove(place.Address);
            }
        }
    }

    private sealed class Place(LookupQueue queue, string user, string address) : IDisposable
    {
        public string User => user;

        public string Address => address;

        public int Waiting { get; set; }

        public void Dispose() => queue.Leave(this);
    }
}
