using TunnelIngress.Connectors;

namespace TunnelIngress.Streams;

/// <summary>What the ingress knows of a running stream, for its log, its metrics and for cutting it.</summary>
/// <param name="Id">The stream's id, the same in every program's log.</param>
/// <param name="Tunnel">The tunnel.</param>
/// <param name="Service">The service.</param>
/// <param name="TokenId">The application's client id, or null for a local listener.</param>
/// <param name="From">Where the application is, for the log.</param>
/// <param name="Session">The connector session that carries it.</param>
internal sealed record StreamInfo(string Id, string Tunnel, string Service, string? TokenId, string From, ConnectorSession Session)
{
    /// <summary>Which secret of the token was shown; 0 without a token.</summary>
    public int SecretVersion { get; init; }
}

/// <summary>Who asks for a stream.</summary>
/// <param name="TokenId">The application's client id, or null for a local listener.</param>
/// <param name="From">Where the application is, for the log.</param>
/// <param name="SecretVersion">Which secret of the token was shown; 0 without a token.</param>
/// <param name="IsPool">Whether a pool of this process asks: it opens streams for as long as it has applications, which are let finish.</param>
internal readonly record struct StreamCaller(string? TokenId, string From, int SecretVersion = 0, bool IsPool = false);
