using System.Net;
using System.Text.Json;
using Microsoft.Net.Http.Headers;
using Shared.Streams.Dialing;
using Shared.Streams.Protocol;

namespace TunnelIngress.Applications;

/// <summary>
/// An answer that is ours and no target's: the hop in a header for programs, and one sentence in the form that the caller accepts, as a page,
/// as JSON or as text.
/// </summary>
internal static class ErrorAnswer
{
    private const string Json = "application/json";
    private const string Html = "text/html";

    /// <summary>Writes the answer. The id of the request is taken from where it stands already.</summary>
    public static async Task WriteAsync(HttpContext context, int status, Hop hop, string code, string text)
    {
        var response = context.Response;
        response.StatusCode = status;
        response.Headers.CacheControl = "no-store";
        response.Headers[TunnelProtocol.ErrorHeader] = $"{hop.ToWire()}/{code}";
        response.Headers[TunnelProtocol.ErrorDetailHeader] = ProtocolCodec.OneLine(text);
        var request = response.Headers[TunnelProtocol.RequestHeader].ToString();
        var (type, body) = FormFor(context.Request) switch
        {
            Json => (Json, JsonSerializer.Serialize(new Document(status, hop.ToWire(), code, text, request.Length > 0 ? request : null), JsonSerializerOptions.Web)),
            Html => (Html, Page(status, hop, code, text, request)),
            _ => ("text/plain", $"tunnel: {text}\n{(request.Length > 0 ? $"request {request}\n" : "")}"),
        };
        response.ContentType = $"{type}; charset=utf-8";
        if (type == Html)
        {
            response.Headers.ContentSecurityPolicy = "default-src 'none'; style-src 'unsafe-inline'";
        }

        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await response.WriteAsync(body, context.RequestAborted);
        }
    }

    // Whichever of the two is asked for by name and weighs more; who asks for neither is no browser.
    private static string FormFor(HttpRequest request)
    {
        if (!MediaTypeHeaderValue.TryParseList(request.Headers.Accept, out var accepted))
        {
            return "";
        }

        return accepted
            .Where(static type => type.MediaType.Equals(Json, StringComparison.OrdinalIgnoreCase) || type.MediaType.Equals(Html, StringComparison.OrdinalIgnoreCase))
            .Where(static type => type.Quality is not 0)
            .OrderByDescending(static type => type.Quality ?? 1)
            .Select(static type => type.MediaType.Equals(Json, StringComparison.OrdinalIgnoreCase) ? Json : Html)
            .FirstOrDefault("");
    }

    private static string Page(int status, Hop hop, string code, string text, string request) => $"""
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><title>{status}</title>
        <style>body{"{"}font:16px/1.5 sans-serif;max-width:40em;margin:4em auto;padding:0 1em{"}"}small{"{"}color:#666{"}"}</style></head>
        <body><h1>{status}</h1><p>{WebUtility.HtmlEncode(text)}</p>
        <p><small>{hop.ToWire()}/{WebUtility.HtmlEncode(code)}{(request.Length > 0 ? $" · request {request}" : "")}</small></p></body></html>

        """;

    private sealed record Document(int Status, string Hop, string Code, string Message, string? Request);
}
