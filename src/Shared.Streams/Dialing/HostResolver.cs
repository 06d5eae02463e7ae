using System.Net;
using System.Net.Sockets;

namespace Shared.Streams.Dialing;

/// <summary>Names to addresses, in the order in which they are to be tried.</summary>
internal static class HostResolver
{
    /// <summary>
    /// The addresses of a host, the two families alternating as RFC 8305 section 4 asks, the system's preferred one first.
    /// <c>localhost</c> and names below it are loopback without asking anybody (RFC 6761 section 6.3).
    /// </summary>
    /// <exception cref="DialException">The name does not resolve (<see cref="Hop.Resolve"/>).</exception>
    public static async ValueTask<IReadOnlyList<IPAddress>> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        if (IPAddress.TryParse(host, out var literal))
        {
            return [literal];
        }

        if (IsLocalhost(host))
        {
            return [IPAddress.Loopback, IPAddress.IPv6Loopback];
        }

        IPAddress[] addresses;
        try
        {
            addresses = await Dns.GetHostAddressesAsync(host, cancellationToken);
        }
        catch (SocketException exception)
        {
            throw NotResolved(host, exception);
        }

        return addresses.Length > 0 ? Alternate(addresses) : throw NotResolved(host, null);
    }

    private static bool IsLocalhost(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase);

    private static List<IPAddress> Alternate(IPAddress[] addresses)
    {
        var preferred = addresses[0].AddressFamily;
        var first = addresses.Where(address => address.AddressFamily == preferred).ToArray();
        var second = addresses.Where(address => address.AddressFamily != preferred).ToArray();
        var order = new List<IPAddress>(addresses.Length);
        for (var i = 0; i < Math.Max(first.Length, second.Length); i++)
        {
            order.AddRange(first.Skip(i).Take(1));
            order.AddRange(second.Skip(i).Take(1));
        }

        return order;
    }

    private static DialException NotResolved(string host, Exception? cause) =>
        new(Hop.Resolve, "not-resolved", $"The host name '{host}' does not resolve. Check the spelling and the DNS of this machine.", cause);
}
