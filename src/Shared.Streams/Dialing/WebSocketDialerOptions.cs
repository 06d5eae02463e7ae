using Shared.Streams.Access;

namespace Shared.Streams.Dialing;

/// <summary>How to reach an ingress.</summary>
public sealed record WebSocketDialerOptions
{
    /// <summary>The service token source; asked at each upgrade, so that a rotated secret is picked up.</summary>
    public required IServiceTokenSource Token { get; init; }

    /// <summary>Whose certificates to believe.</summary>
    public CertificateTrust Trust { get; init; } = CertificateTrust.System;

    /// <summary>Another host and port to connect to, keeping the URL's name for TLS and HTTP: for split DNS and tests.</summary>
    public HostAndPort? ConnectTo { get; init; }

    /// <summary>The limit of one attempt: resolve, connect, TLS, upgrade, and at a tunnel hostname the target's connection too.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>The clock of all waits.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}
