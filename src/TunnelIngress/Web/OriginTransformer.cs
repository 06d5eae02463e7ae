using System.Net;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;
using Shared.Streams.Protocol;
using Shared.Streams.Sockets;
using TunnelIngress.State;
using Yarp.ReverseProxy.Forwarder;

namespace TunnelIngress.Web;

/// <summary>
/// What changes of a message on its way: hop-by-hop headers and ours go, who asks is said by us, everything else stays as it is. Safe for
/// concurrent use.
/// </summary>
/// <param name="service">The service.</param>
/// <param name="web">How its target is spoken to.</param>
/// <param name="publicPorts">Ports that clients come to, beside those that are listened on.</param>
/// <param name="trustsClient">The client is our operator's own proxy, which says where a request came from.</param>
internal sealed class OriginTransformer(Service service, WebOrigin web, IReadOnlyList<int> publicPorts, bool trustsClient) : HttpTransformer
{
    /// <inheritdoc/>
    public override async ValueTask TransformRequestAsync(
        HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
    {
        var request = httpContext.Request;
        await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
        foreach (var (name, _) in request.Headers)
        {
            if (HeaderRules.IsOurs(name) || HeaderRules.IsAboutTheClient(name, trustsClient))
            {
                Remove(proxyRequest, name);
            }
        }

        foreach (var name in HeaderRules.Nominated(request.Headers.Connection))
        {
            Remove(proxyRequest, name);
        }

        ConnectionAuthentication.RemoveFrom(proxyRequest.Headers);
        var headers = proxyRequest.Headers;
        var host = HostOf(httpContext);
        headers.Host = web.HostHeader ?? host;
        SetIfAbsent(headers, "X-Forwarded-For", AddressOf(httpContext));
        SetIfAbsent(headers, "X-Forwarded-Proto", request.Scheme);
        SetIfAbsent(headers, "X-Forwarded-Host", host);
        headers.TryAddWithoutValidation(TunnelProtocol.RequestHeader, httpContext.Response.Headers[TunnelProtocol.RequestHeader].ToString());
        proxyRequest.RequestUri = RequestTarget.ToUri(destinationPrefix, httpContext.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget)
            ?? RequestUtilities.MakeDestinationAddress(destinationPrefix, request.Path, request.QueryString);
    }

    /// <inheritdoc/>
    public override async ValueTask<bool> TransformResponseAsync(HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (proxyResponse is { StatusCode: HttpStatusCode.SwitchingProtocols } && httpContext.Features.Get<IHttpUpgradeFeature>() is not { IsUpgradableRequest: true }
            && httpContext.Features.Get<IHttpExtendedConnectFeature>() is not { IsExtendedConnect: true })
        {
            throw new HttpRequestException(HttpRequestError.InvalidResponse, "The origin switches protocols, and nobody has asked for that.");
        }

        var response = httpContext.Response;
        var id = response.Headers[TunnelProtocol.RequestHeader];
        var isForwarded = await base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
        if (!isForwarded || proxyResponse is null)
        {
            return isForwarded;
        }

        httpContext.Features.GetRequiredFeature<RequestProgress>().Answered();
        foreach (var name in response.Headers.Keys.Where(HeaderRules.IsOurs).ToArray())
        {
            response.Headers.Remove(name);
        }

        if (proxyResponse.Headers.NonValidated.TryGetValues(HeaderNames.Connection, out var connection))
        {
            foreach (var name in HeaderRules.Nominated(connection.ToString()))
            {
                response.Headers.Remove(name);
            }
        }

        ConnectionAuthentication.RemoveFrom(response.Headers);
        response.Headers[TunnelProtocol.RequestHeader] = id;
        if (IsOpenEnded(httpContext, proxyResponse))
        {
            // Its first bytes may come much later: whoever waits for the headers has them now.
            await response.Body.FlushAsync(cancellationToken);
        }

        return true;
    }

    // Case, a dot at the end and the port are the client's to write, and an origin makes URLs of what stands here: of ports it gets one that leads here.
    private string HostOf(HttpContext context) => context.Request.Host.Port is { } port && (trustsClient || port == context.Connection.LocalPort || publicPorts.Contains(port))
        ? $"{service.Hostname}:{port}"
        : service.Hostname;

    private static string AddressOf(HttpContext context) =>
        context.Connection.RemoteIpAddress is { } address ? RemoteNetwork.Unmapped(address).ToString() : "unknown";

    private static void Remove(HttpRequestMessage request, string name)
    {
        // A collection that could not hold a header throws when it is asked to remove it, and so does each for what is no name.
        if (request.Headers.NonValidated.Contains(name))
        {
            request.Headers.Remove(name);
        }
        else if (request.Content is { } content && content.Headers.NonValidated.Contains(name))
        {
            content.Headers.Remove(name);
        }
    }

    private static void SetIfAbsent(System.Net.Http.Headers.HttpRequestHeaders headers, string name, string value)
    {
        if (!headers.NonValidated.Contains(name))
        {
            headers.TryAddWithoutValidation(name, value);
        }
    }

    private static bool IsOpenEnded(HttpContext context, HttpResponseMessage response) =>
        (int)response.StatusCode is >= 200 and not (204 or 205 or 304)
        && !HttpMethods.IsHead(context.Request.Method)
        && response.RequestMessage?.Method != HttpMethod.Connect
        && response.Content.Headers.ContentLength is null
        && response.Content.Headers.ContentType?.MediaType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) != true;
}
