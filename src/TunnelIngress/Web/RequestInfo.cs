using System.Net;

namespace TunnelIngress.Web;

/// <summary>What the ingress knows of a running request, for its log and for cutting it.</summary>
/// <param name="Id">The request's id, in the log and in <c>Tunnel-Request</c>.</param>
/// <param name="Service">The service.</param>
/// <param name="TokenId">The client id; null for a request to a public service.</param>
internal sealed record RequestInfo(string Id, string Service, string? TokenId)
{
    /// <summary>Which secret of the token was shown; 0 without a token.</summary>
    public int SecretVersion { get; init; }

    /// <summary>Where it comes from; null for a Unix socket.</summary>
    public IPAddress? From { get; init; }
}
