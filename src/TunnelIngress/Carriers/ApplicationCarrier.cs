using Shared.Streams.Multiplexing;

namespace TunnelIngress.Carriers;

/// <summary>One application's carrier: what it was opened with, and what carries it.</summary>
/// <param name="hostname">The only hostname that its streams may go to.</param>
/// <param name="clientId">The service token's client id.</param>
/// <param name="secretHash">Of the secret it was opened with: once that is not valid any more, neither is the carrier.</param>
/// <param name="from">Where the application is, for the log.</param>
internal sealed class ApplicationCarrier(string hostname, string clientId, byte[] secretHash, string from)
{
    public string Hostname => hostname;

    public string ClientId => clientId;

    public byte[] SecretHash => secretHash;

    public string From => from;

    /// <summary>Null until the application has its answer.</summary>
    public Multiplexer? Multiplexer { get; set; }

    /// <summary>When access was found withdrawn, as a timestamp; null while it is not.</summary>
    public long? WithdrawnAt { get; set; }
}
