using Shared.Streams.Dialing;
using Shared.Streams.Protocol;

namespace TunnelIngress.Applications;

/// <summary>The refusals of requests to the public address, each with its status, its hop and one sentence.</summary>
internal static class UpgradeAnswers
{
    /// <summary>What everybody is told whose token is not good for this.</summary>
    public const string DeniedText = "The service token was not accepted here: it is missing, wrong, expired, revoked or not allowed for this hostname.";

    /// <summary>One indistinguishable answer for every token that is not accepted.</summary>
    public static Task DeniedAsync(HttpContext context) =>
        WriteAsync(context, StatusCodes.Status403Forbidden, Hop.Ingress, "token-refused", DeniedText);

    /// <summary>Too many refused tokens from one address.</summary>
    public static Task LimitedAsync(HttpContext context)
    {
        context.Response.Headers.RetryAfter = "10";
        return WriteAsync(context, StatusCodes.Status429TooManyRequests, Hop.Ingress, "limited", "Too many refused service tokens from this address.");
    }

    public static Task UnknownHostnameAsync(HttpContext context) =>
        WriteAsync(context, StatusCodes.Status404NotFound, Hop.Ingress, "unknown-hostname", "No service has this hostname.");

    /// <summary>The connection was made for another name.</summary>
    public static Task MisdirectedAsync(HttpContext context) => WriteAsync(
        context, StatusCodes.Status421MisdirectedRequest, Hop.Ingress, "misdirected", "This connection was made for another name, or cannot be upgraded; make a new one with HTTP/1.1.");

    public static Task HeadersTooLargeAsync(HttpContext context) => WriteAsync(
        context, StatusCodes.Status431RequestHeaderFieldsTooLarge, Hop.Ingress, "headers-too-large", "The request has more headers than an upgrade needs.");

    /// <summary>A request to a tunnel hostname that is no WebSocket upgrade.</summary>
    public static Task UpgradeRequiredAsync(HttpContext context)
    {
        context.Response.Headers.Upgrade = "websocket";
        return WriteAsync(
            context, StatusCodes.Status426UpgradeRequired, Hop.Ingress, "no-upgrade", "This hostname carries a TCP service; connect with a WebSocket (GET with Upgrade: websocket).");
    }

    public static Task UnsupportedProtocolAsync(HttpContext context) => WriteAsync(
        context, StatusCodes.Status400BadRequest, Hop.Ingress, "unsupported-protocol", $"This ingress speaks version {TunnelProtocol.Version} of the tunnel protocol.");

    public static Task DrainingAsync(HttpContext context) =>
        FailedAsync(context, new DialException(Hop.Ingress, "draining", "The ingress is shutting down; try again, another one will answer."));

    /// <summary>The stream could not be opened.</summary>
    public static Task FailedAsync(HttpContext context, DialException failure)
    {
        var status = failure switch
        {
            { Hop: Hop.Target } => StatusCodes.Status502BadGateway,
            { Hop: Hop.Ingress, Code: "limited" } => StatusCodes.Status429TooManyRequests,
            _ => StatusCodes.Status503ServiceUnavailable,
        };
        if (status != StatusCodes.Status502BadGateway)
        {
            context.Response.Headers.RetryAfter = "1";
        }

        return WriteAsync(context, status, failure.Hop, failure.Code, failure.Message);
    }

    private static Task WriteAsync(HttpContext context, int status, Hop hop, string code, string text) =>
        ErrorAnswer.WriteAsync(context, status, hop, code, text);
}
