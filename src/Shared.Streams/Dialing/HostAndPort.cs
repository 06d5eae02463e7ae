using System.Globalization;

namespace Shared.Streams.Dialing;

/// <summary>A host name or address with a port.</summary>
/// <param name="Host">Without brackets, even for IPv6.</param>
/// <param name="Port">1 to 65535.</param>
public sealed record HostAndPort(string Host, int Port)
{
    /// <summary>Reads <c>host</c>, <c>host:port</c> or <c>[ipv6]:port</c>.</summary>
    /// <exception cref="FormatException">The text is none of these; the message says what to write.</exception>
    public static HostAndPort Parse(string text, int defaultPort)
    {
        var colon = text.LastIndexOf(':');
        var hasPort = colon >= 0 && !text.EndsWith(']') && (text.IndexOf(':', StringComparison.Ordinal) == colon || text.StartsWith('['));
        var host = (hasPort ? text[..colon] : text).Trim('[', ']');
        var port = defaultPort;
        var portIsGood = !hasPort
            || (int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is >= 1 and <= 65535);
        return portIsGood && Uri.CheckHostName(host) != UriHostNameType.Unknown
            ? new HostAndPort(host, port)
            : throw new FormatException($"'{text}' is not a host. Write db.example.com or db.example.com:8443.");
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{(Host.Contains(':') ? $"[{Host}]" : Host)}:{Port}");
}
