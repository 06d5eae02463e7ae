using System.Net;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using TunnelIngress.Access;

namespace TunnelIngress.Carriers;

/// <summary>One application's carrier: what it was opened with, and what carries it.</summary>
/// <param name="hello">The application's first message; of its secret the hash alone is kept.</param>
/// <param name="remote">Where the application is; null when that is not known.</param>
internal sealed class ApplicationCarrier(AccessHostname hello, IPEndPoint? remote)
{
    /// <summary>The only hostname that its streams may go to.</summary>
    public string Hostname { get; } = hello.Hostname;

    /// <summary>The service token's client id.</summary>
    public string ClientId { get; } = hello.ClientId;

    /// <summary>Of the secret it was opened with: once that is not valid any more, neither is the carrier.</summary>
    public byte[] SecretHash { get; } = AccessGate.Hash(hello.ClientSecret);

    /// <summary>Whether the application understands <see cref="Leaving"/>.</summary>
    public bool KnowsLeaving { get; } = hello.Knows(TunnelProtocol.LeavingFeature);

    /// <summary>Where the application is, for the log.</summary>
    public string From { get; } = remote?.ToString() ?? "?";

    /// <inheritdoc cref="From"/>
    public IPAddress? Address => remote?.Address;

    /// <summary>Null until the application has its answer.</summary>
    public Multiplexer? Multiplexer { get; set; }

    /// <summary>When access was found withdrawn, as a timestamp; null while it is not.</summary>
    public long? WithdrawnAt { get; set; }
}
