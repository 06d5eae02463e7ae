using System.Net;
using Shared.Streams.Protocol;

namespace Shared.Streams.Dialing;

/// <summary>What an ingress refused as an error that names the hop and the fix (docs/protocol.md section 2).</summary>
internal static class IngressRefusal
{
    public static DialException From(
        Uri uri, HttpStatusCode status, IReadOnlyDictionary<string, IEnumerable<string>>? headers, Exception cause)
    {
        var error = Header(headers, TunnelProtocol.ErrorHeader).Split('/');
        var detail = Header(headers, TunnelProtocol.ErrorDetailHeader);
        var (hop, code, message) = (int)status switch
        {
            401 or 403 => (Hop.Ingress, "token-refused", TokenRefused(uri, $" ({(int)status})")),
            404 => (Hop.Ingress, "unknown-hostname", UnknownHostname(uri, " (404)")),
            429 => (Hop.Ingress, "limited", $"{uri.Authority} is limiting this client (429). {detail}"),
            502 => (Hop.Target, "unreachable", detail.Length > 0 ? detail : "The target could not be reached (502)."),
            503 => (Hop.Connector, "offline", detail.Length > 0 ? detail : $"No connector is online for {uri.Authority} (503)."),
            _ => (Hop.Ingress, "no-upgrade", $"{uri.Authority} answered {(int)status} and not a WebSocket upgrade. Is that a tunnel ingress?"),
        };

        // Our own ingress says more exactly than the status can.
        if (error is [var hopName, { Length: > 0 } named] && Hops.FromWire(hopName) is { } exact)
        {
            (hop, code) = (exact, named);
        }

        return new DialException(hop, code, message.TrimEnd(), cause) { Status = (int)status };
    }

    /// <summary>A refusal that was said on a carrier.</summary>
    public static DialException From(Uri uri, Hop hop, string code, string message) => new(hop, ProtocolCodec.OneLine(code), (hop, code) switch
    {
        (Hop.Ingress, "token-refused") => TokenRefused(uri, ""),
        (Hop.Ingress, "unknown-hostname") => UnknownHostname(uri, ""),
        _ => ProtocolCodec.OneLine(message),
    });

    private static string TokenRefused(Uri uri, string status) =>
        $"{uri.Authority} refused the service token{status}: it is wrong, expired, revoked or not allowed here. Check client id and secret, or create a token with 'tunnel-ingress token create'.";

    private static string UnknownHostname(Uri uri, string status) =>
        $"{uri.Authority} knows no such tunnel hostname{status}. Check the spelling, or add it with 'tunnel-ingress service add'.";

    private static string Header(IReadOnlyDictionary<string, IEnumerable<string>>? headers, string name) =>
        headers is not null && headers.TryGetValue(name, out var values) ? ProtocolCodec.OneLine(values.FirstOrDefault()) : "";
}
