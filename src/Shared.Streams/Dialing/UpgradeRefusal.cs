using System.Net;
using Shared.Streams.Protocol;

namespace Shared.Streams.Dialing;

/// <summary>A refused WebSocket upgrade as an error that names the hop and the fix (DESIGN contract: the statuses of a tunnel hostname).</summary>
internal static class UpgradeRefusal
{
    public static DialException From(
        Uri uri, HttpStatusCode status, IReadOnlyDictionary<string, IEnumerable<string>>? headers, Exception cause)
    {
        var error = Header(headers, TunnelProtocol.ErrorHeader).Split('/');
        var detail = Header(headers, TunnelProtocol.ErrorDetailHeader);
        var (hop, code, message) = (int)status switch
        {
            401 or 403 => (Hop.Ingress, "token-refused", $"{uri.Authority} refused the service token ({(int)status}): it is wrong, expired, revoked or not allowed here. Check client id and secret, or create a token with 'tunnel-ingress token create'."),
            404 => (Hop.Ingress, "unknown-hostname", $"{uri.Authority} knows no such tunnel hostname (404). Check the spelling, or add it with 'tunnel-ingress service add'."),
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

    private static string Header(IReadOnlyDictionary<string, IEnumerable<string>>? headers, string name) =>
        headers is not null && headers.TryGetValue(name, out var values) ? ProtocolCodec.OneLine(values.FirstOrDefault()) : "";
}
