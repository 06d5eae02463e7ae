using System.Net;
using Shared.Streams.Multiplexing;

namespace TunnelIngress.Carriers;

/// <summary>One application's carrier: what it was opened with, and what carries it.</summary>
/// <param name="hostname">The only hostname that its streams may go to.</param>
/// <param name="clientId">The service token's client id.</param>
/// <param name="secretHash">Of the secret it was opened with: once that is not valid any more, neither is the carrier.</param>
/// <param name="remote">Where the application is; null when that is not known.</param>
internal sealed class ApplicationCarrier(string hostname, string clientId, byte[] secretHash, IPEndPoint? remote)
{
    public string Hostname => hostname;

    public string ClientId => clientId;

    public byte[] SecretHash => secretHash;

    /// <summary>Where the application is, for the log.</summary>
    public string From { get; } = remote?.ToString() ?? "?";

    /// <inheritdoc cref="From"/>
    public IPAddress? Address => remote?.Address;

    /// <summary>Null until the application has its answer.</summary>
    public Multiplexer? Multiplexer { get; set; }

    /// <summary>When access was found withdrawn, as a timestamp; null while it is not.</summary>
    public long? WithdrawnAt { get; set; }
}
