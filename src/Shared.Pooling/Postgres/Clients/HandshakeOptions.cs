using System.Net.Security;

namespace Shared.Pooling.Postgres.Clients;

/// <summary>How clients may connect. Immutable.</summary>
public sealed record HandshakeOptions
{
    /// <summary>Our certificate; null when no TLS is offered.</summary>
    public SslServerAuthenticationOptions? Tls { get; init; }

    /// <summary>True when clients without TLS are refused.</summary>
    public bool RequireTls { get; init; }

    /// <summary>A client may take so long from its first byte to its welcome.</summary>
    public TimeSpan LoginTimeout { get; init; } = TimeSpan.FromSeconds(30);
}
