namespace Shared.Streams.Dialing;

/// <summary>The step of the way at which reaching the database failed. Every error names one.</summary>
public enum Hop
{
    /// <summary>A host name could not be resolved.</summary>
    Resolve,

    /// <summary>No TCP or Unix-socket connection could be made to the ingress, or to the target of a plain dialer.</summary>
    Connect,

    /// <summary>The HTTP proxy refused or failed.</summary>
    Proxy,

    /// <summary>The TLS handshake failed, or the certificate does not verify.</summary>
    Tls,

    /// <summary>The ingress answered, and refused: token, hostname or a limit.</summary>
    Ingress,

    /// <summary>No connector is online for the tunnel, or it did not answer.</summary>
    Connector,

    /// <summary>The connector could not reach the target.</summary>
    Target,
}

/// <summary>The names of <see cref="Hop"/> on the wire, in logs and in metrics.</summary>
public static class Hops
{
    /// <summary>The name of a hop.</summary>
    public static string ToWire(this Hop hop) => hop switch
    {
        Hop.Resolve => "resolve",
        Hop.Connect => "connect",
        Hop.Proxy => "proxy",
        Hop.Tls => "tls",
        Hop.Ingress => "ingress",
        Hop.Connector => "connector",
        Hop.Target => "target",
        _ => throw new ArgumentOutOfRangeException(nameof(hop), hop, null),
    };

    /// <summary>The hop of a name, or null.</summary>
    public static Hop? FromWire(string name)
    {
        foreach (var hop in Enum.GetValues<Hop>())
        {
            if (hop.ToWire() == name)
            {
                return hop;
            }
        }

        return null;
    }
}
