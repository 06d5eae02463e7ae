using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Shared.Streams.Sockets;

/// <summary>Where to listen: <c>127.0.0.1:5432</c>, <c>[::1]:5432</c> or <c>unix:/path</c>. Port 0 lets the system choose.</summary>
public sealed record ListenAddress
{
    // sockaddr_un.sun_path holds 108 bytes with the terminating zero (unix(7)).
    private const int MaxUnixPath = 107;

    private ListenAddress(IPEndPoint? endPoint, string? unixPath)
    {
        (IPEndPoint, UnixPath) = (endPoint, unixPath);
    }

    /// <summary>The TCP end point, or null for a Unix socket.</summary>
    public IPEndPoint? IPEndPoint { get; }

    /// <summary>The Unix socket's path, or null for TCP.</summary>
    public string? UnixPath { get; }

    /// <summary>True when only this machine can reach it.</summary>
    public bool IsLoopbackOnly => IPEndPoint is null || IPAddress.IsLoopback(IPEndPoint.Address);

    /// <summary>The address of a TCP end point.</summary>
    public static ListenAddress Of(IPEndPoint endPoint) => new(endPoint, null);

    /// <summary>This one with the port that the system chose for a socket that is bound to it.</summary>
    public ListenAddress BoundBy(Socket socket) => socket.LocalEndPoint is IPEndPoint bound ? Of(bound) : this;

    /// <summary>Reads an address.</summary>
    /// <exception cref="FormatException">The text is none; the message says what to write.</exception>
    public static ListenAddress Parse(string text)
    {
        if (text.StartsWith("unix:", StringComparison.Ordinal))
        {
            var path = text["unix:".Length..];
            path = path.StartsWith("//", StringComparison.Ordinal) ? path[2..] : path;
            return path is ['/', _, ..] && System.Text.Encoding.UTF8.GetByteCount(path) <= MaxUnixPath
                ? new ListenAddress(null, path)
                : throw Bad(text, $"the path must be absolute and at most {MaxUnixPath} bytes");
        }

        var colon = text.LastIndexOf(':');
        if (colon < 0 || !ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port))
        {
            throw Bad(text, "a port from 0 to 65535 is needed");
        }

        var host = text[..colon];
        if (host.Equals("localhost", StringComparison.OrdinalIgnoreCase))
        {
            return new ListenAddress(new IPEndPoint(IPAddress.Loopback, port), null);
        }

        var bracketed = host.StartsWith('[') && host.EndsWith(']');
        return IPAddress.TryParse(bracketed ? host[1..^1] : host, out var address)
            && bracketed == (address.AddressFamily == AddressFamily.InterNetworkV6)

            // The system also reads 1 and 127.1 as IPv4 addresses; here they are typing errors.
            && (bracketed || host.Count(static character => character == '.') == 3)
            ? new ListenAddress(new IPEndPoint(address, port), null)
            : throw Bad(text, "the host must be an IP address");
    }

    /// <inheritdoc/>
    public override string ToString() => UnixPath is not null ? $"unix:{UnixPath}" : IPEndPoint!.ToString();

    private static FormatException Bad(string text, string why) =>
        new($"'{text}' is not an address to listen on: {why}. Write 127.0.0.1:5432, [::1]:5432 or unix:/path.");
}
