using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Shared.Streams.Sockets;

/// <summary>Whom an address stands for: itself, or in IPv6 its /64, the least a subscriber has. Compared by value.</summary>
public readonly record struct RemoteNetwork
{
    private readonly AddressFamily _family;
    private readonly ulong _prefix;

    private RemoteNetwork(AddressFamily family, ulong prefix)
    {
        (_family, _prefix) = (family, prefix);
    }

    /// <summary>The network of an address; an IPv4 address in IPv6 form is the same address.</summary>
    public static RemoteNetwork Of(IPAddress address)
    {
        address = Unmapped(address);
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        address.TryWriteBytes(bytes, out _);
        return new RemoteNetwork(address.AddressFamily, BinaryPrimitives.ReadUInt64BigEndian(bytes));
    }

    /// <summary>The network of an address, or null when it is this host's own or not known: a proxy there stands for many.</summary>
    public static RemoteNetwork? OfAnotherHost(IPAddress? address) => address is null || IPAddress.IsLoopback(Unmapped(address)) ? null : Of(address);

    /// <summary>The address of a remote as connections name it, with its port; null for a Unix socket.</summary>
    public static IPAddress? AddressOf(string remote) => IPEndPoint.TryParse(remote, out var endPoint) ? endPoint.Address : null;

    /// <summary>An IPv4 address in IPv6 form as what it is; any other as it is.</summary>
    public static IPAddress Unmapped(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
}
