using System.Globalization;
using Microsoft.AspNetCore.Http.Features;
using Shared.Streams;
using Shared.Streams.Dialing;
using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;
using TunnelIngress.Access;
using TunnelIngress.State;
using TunnelIngress.Streams;
using TunnelIngress.Web;

namespace TunnelIngress.Applications;

/// <summary>
/// A tunnel hostname. A request to an HTTP service goes to <see cref="WebEndpoint"/>. An application's upgrade request to any other service goes:
/// hostname → service token → scope → upgrade asked for → target connected → 101 → relay.
/// Previous stop of a byte: the application's WebSocket client, or our forwarder. Next stop: <see cref="StreamService"/>.
/// </summary>
internal sealed class HostnameEndpoint(
    AccessCheck access, StateWatcher state, StreamService streams, WebEndpoint web, TimeProvider time, ILogger<HostnameEndpoint> logger)
{
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Handles one request to any host name that is not the connectors'.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            // With a limit the server would close on a body that nobody has read, and the client would lose the answer that says why.
            size.MaxRequestBodySize = null;
        }

        var service = state.Current.FindByHostname(context.Request.Host.Host);
        if (PublicRequest.IsMisdirected(context, service))
        {
            await UpgradeAnswers.MisdirectedAsync(context);
            return;
        }

        if (service?.Web is { } origin)
        {
            await web.HandleAsync(context, service, origin);
            return;
        }

        if (PublicRequest.HasTooManyHeaders(context))
        {
            await UpgradeAnswers.HeadersTooLargeAsync(context);
            return;
        }

        if (service is null)
        {
            await RefuseUnknownAsync(context);
            return;
        }

        if (await access.AdmitAsync(context, service) is not { } token)
        {
            return;
        }

        if (!context.WebSockets.IsWebSocketRequest)
        {
            await UpgradeAnswers.UpgradeRequiredAsync(context);
            return;
        }

        var version = context.Request.Headers[TunnelProtocol.VersionHeader].ToString();
        if (version.Length > 0 && version != Version)
        {
            await UpgradeAnswers.UnsupportedProtocolAsync(context);
            return;
        }

        await ServeAsync(context, service, token, speaksProtocol: version.Length > 0);
    }

    private static string Version { get; } = TunnelProtocol.Version.ToString(CultureInfo.InvariantCulture);

    // Anybody may ask for any name, so this is said for whoever hunts a fault only.
    private Task RefuseUnknownAsync(HttpContext context)
    {
        var id = StreamIds.NewStream();
        context.Response.Headers[TunnelProtocol.RequestHeader] = id;
        logger.RequestUnknown(id, ProtocolCodec.OneLine(context.Request.Host.Value));
        return UpgradeAnswers.UnknownHostnameAsync(context);
    }

    private async Task ServeAsync(HttpContext context, Service service, AcceptedToken token, bool speaksProtocol)
    {
        OpenedStream opened;
        try
        {
            opened = await streams.OpenAsync(
                service, new StreamCaller(token.ClientId, AccessCheck.RemoteOf(context), token.SecretVersion), early: null, context.RequestAborted);
        }
        catch (DialException exception)
        {
            await UpgradeAnswers.FailedAsync(context, exception);
            return;
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The application left before its target was connected.
            return;
        }

        DuplexStream application;
        try
        {
            context.Response.Headers[TunnelProtocol.StreamHeader] = opened.Info.Id;
            application = await AcceptAsync(context, speaksProtocol);
        }
        catch
        {
            await opened.DisposeAsync();
            throw;
        }

        await streams.RelayAsync(opened, application);
    }

    private async Task<DuplexStream> AcceptAsync(HttpContext context, bool speaksProtocol)
    {
        if (speaksProtocol)
        {
            context.Response.Headers[TunnelProtocol.VersionHeader] = Version;
        }

        var webSocket = await context.WebSockets.AcceptWebSocketAsync(new WebSocketAcceptContext
        {
            KeepAliveInterval = TunnelProtocol.DataKeepAlive,
            KeepAliveTimeout = Timeout.InfiniteTimeSpan,
        });
        return speaksProtocol
            ? new ChannelStream(webSocket, context.RequestAborted)
            : new RawWebSocketStream(webSocket, CloseTimeout, time, context.RequestAborted);
    }
}
