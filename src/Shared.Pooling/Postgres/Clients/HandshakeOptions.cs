using System.Net.Security;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>How clients may connect. Immutable.</summary>
public sealed record HandshakeOptions
{
    /// <summary>
    /// How to encrypt for a server name that a client asks for (SNI, RFC 6066 section 3; empty when it names none); called at each TLS
    /// handshake. Null when no TLS is offered.
    /// </summary>
    public Func<string, SslServerAuthenticationOptions>? Tls { get; init; }

    /// <summary>True when clients without TLS are refused.</summary>
    public bool RequireTls { get; init; }

    /// <summary>A client may take so long from its first byte to its welcome.</summary>
    public TimeSpan LoginTimeout { get; init; } = TimeSpan.FromSeconds(30);
}
