namespace Shared.Streams.Dialing;

/// <summary>
/// Where a target is: <c>tcp://host:port</c>, <c>tls://host:port</c> (TCP with TLS, verified) or <c>unix:///path</c>. A web server may
/// also be written <c>http://host</c> or <c>https://host</c>, which is TCP to that port, or to 80 or 443: HTTP, and TLS with it, is
/// spoken by whoever uses the stream, end to end.
/// </summary>
public sealed record TargetAddress
{
    private TargetAddress(string scheme, string host, int port, string path)
    {
        (Scheme, Host, Port, Path) = (scheme, host, port, path);
    }

    /// <summary>tcp, tls, unix, http or https.</summary>
    public string Scheme { get; }

    /// <summary>The host, empty for unix.</summary>
    public string Host { get; }

    /// <summary>The port, 0 for unix.</summary>
    public int Port { get; }

    /// <summary>The socket's path, empty otherwise.</summary>
    public string Path { get; }

    /// <summary>Reads a service's target.</summary>
    /// <exception cref="FormatException">The text is no target; the message says what is.</exception>
    public static TargetAddress Parse(string text) => Parse(text, TargetForm.Service);

    /// <summary>Reads a target of one form.</summary>
    /// <exception cref="FormatException">The text is not of that form; the message says what is.</exception>
    public static TargetAddress Parse(string text, TargetForm form)
    {
        if (!form.Schemes.Any(scheme => text.StartsWith($"{scheme}://", StringComparison.Ordinal)))
        {
            throw form.Bad(text, $"the scheme must be {form.Listed}");
        }

        if (text.StartsWith("unix://", StringComparison.Ordinal))
        {
            var path = text["unix://".Length..];
            return path is ['/', _, ..] && path.Length <= 107
                ? new("unix", "", 0, path)
                : throw form.Bad(text, "the path must be absolute and at most 107 bytes");
        }

        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Port is < 1 or > 65535 || uri.Host.Length == 0)
        {
            throw form.Bad(text, "a host and a port from 1 to 65535 are needed");
        }

        return uri is { AbsolutePath: "" or "/", Query: "", Fragment: "", UserInfo: "" }
            ? new(uri.Scheme, uri.IdnHost.Trim('[', ']'), uri.Port, "")
            : throw form.Bad(text, "nothing may follow the port, and no user may stand before the host");
    }

    /// <summary>A dialer for this target.</summary>
    /// <param name="trust">The roots for tls targets.</param>
    /// <param name="timeout">The limit of one attempt, for connection and handshake each.</param>
    /// <param name="time">The clock.</param>
    public IDialer CreateDialer(CertificateTrust trust, TimeSpan timeout, TimeProvider time) => Scheme switch
    {
        "unix" => new UnixDialer(Path, timeout, time),
        "tls" => new TlsDialer(new TcpDialer(Host, Port, timeout, time), Host, trust, timeout, time),
        _ => new TcpDialer(Host, Port, timeout, time),
    };

    /// <inheritdoc/>
    public override string ToString() =>
        Scheme == "unix" ? $"unix://{Path}" : $"{Scheme}://{(Host.Contains(':') ? $"[{Host}]" : Host)}:{Port}";
}
