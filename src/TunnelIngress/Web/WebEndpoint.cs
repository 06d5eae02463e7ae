using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Shared.Streams;
using Shared.Streams.Dialing;
using Shared.Streams.Protocol;
using Shared.Streams.Relaying;
using Shared.Streams.Sockets;
using TunnelIngress.Access;
using TunnelIngress.Applications;
using TunnelIngress.Metrics;
using TunnelIngress.State;
using TunnelIngress.Streams;
using Yarp.ReverseProxy.Forwarder;

namespace TunnelIngress.Web;

/// <summary>
/// The hostname of an HTTP service. A request goes: service token, unless the service is public → admitted → forwarded by YARP over a
/// connection of the service's <see cref="Origin"/> → one line in the log. Safe for concurrent use.
/// Previous stop of a byte: the client's connection at Kestrel. Next stop: <see cref="Origin"/>.
/// </summary>
internal sealed class WebEndpoint(
    AccessCheck access, StreamGate gate, StreamSet<RequestInfo> requests, OriginSet origins, IHttpForwarder forwarder, IngressMetrics metrics, TimeProvider time,
    ILogger<WebEndpoint> logger)
{
    private const int MaxAttempts = 3;

    /// <summary>What the web server calls the length of a body that comes in chunks nevertheless.</summary>
    private const string OtherLength = "X-Content-Length";

    /// <summary>Handles one request to an HTTP service's hostname.</summary>
    public async Task HandleAsync(HttpContext context, Service service, WebOrigin web)
    {
        var progress = new RequestProgress(time);
        context.Features.Set(progress);
        var id = StreamIds.NewStream();
        context.Response.Headers[TunnelProtocol.RequestHeader] = id;
        AcceptedToken? token = null;
        if (web.Access != WebAccess.Public)
        {
            token = await access.AdmitAsync(context, service);
            if (token is null)
            {
                return;
            }
        }
        else if (context.Features.Get<AcceptPlace>()?.TrySettle() == false)
        {
            await UpgradeAnswers.FailedAsync(context, new DialException(Hop.Ingress, "crowded", "Too many connections are open; try again later."));
            return;
        }

        var info = new RequestInfo(id, service.Name, token?.ClientId)
        {
            SecretVersion = token?.SecretVersion ?? 0,
            From = context.Connection.RemoteIpAddress,
        };
        var failure = await ServeAsync(context, service, info);
        Report(context, info, progress, failure);
    }

    private async Task<RequestFailure?> ServeAsync(HttpContext context, Service service, RequestInfo info)
    {
        RequestFailure failure;
        try
        {
            // What strangers may take together is bounded like what one token may.
            // The connections that carry requests are the streams that count in all.
            using var admission = gate.Admit(info.TokenId ?? $"public {service.Name}", countsInAll: false);
            if (FaultOf(context) is { } fault)
            {
                failure = fault;
            }
            else if (await ForwardAsync(context, service, info) is { } failed)
            {
                failure = failed;
            }
            else
            {
                return null;
            }
        }
        catch (DialException exception)
        {
            failure = RequestFailure.Of(exception);
        }

        if (failure.Status == RequestFailure.ClientClosed)
        {
            // Whatever stands in the answer so far is for nobody.
            context.Abort();
        }
        else if (!context.Response.HasStarted)
        {
            var connection = context.Response.Headers.Connection;
            context.Response.Clear();
            context.Response.Headers[TunnelProtocol.RequestHeader] = info.Id;
            context.Response.Headers.Connection = connection;
            await ErrorAnswer.WriteAsync(context, failure.Status, failure.Hop, failure.Code, failure.Text);
        }

        return failure;
    }

    private async Task<RequestFailure?> ForwardAsync(HttpContext context, Service service, RequestInfo info)
    {
        if (context.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate && IsCall(context.Request))
        {
            // Its body is a conversation, which may be silent.
            rate.MinDataRate = null;
        }

        using var body = BodyOf(context.Request);
        if (body is not null)
        {
            context.Request.Body = body;
            Upload.Current = body.Upload;
        }

        // Not disposed of: it holds nothing, and a cut may come while the request ends.
        var cut = new CancellationTokenSource();
        StreamAbort? reason = null;
        using var entry = requests.Add(info, abort =>
        {
            reason ??= abort;
            _ = cut.CancelAsync();
        });
        for (var attempt = 1; ; attempt++)
        {
            var origin = origins.For(service.Name);
            var error = await forwarder.SendAsync(context, origin.Prefix, origin.Client, origin.Request, origin.Transformer, cut.Token);
            if (reason is { } abort)
            {
                return Cut(context, abort);
            }

            if (error == ForwarderError.None)
            {
                return null;
            }

            var exception = context.Features.Get<IForwarderErrorFeature>()?.Exception;
            if (context.RequestAborted.IsCancellationRequested)
            {
                return new RequestFailure(RequestFailure.ClientClosed, Hop.Ingress, "client-closed", "The client closed the connection.");
            }

            if (body?.Upload.RefusedStatus is { } status)
            {
                if (!HttpProtocol.IsHttp2(context.Request.Protocol))
                {
                    context.Response.Headers.Connection = "close";
                }

                return RequestFailure.Refused(service.Name, status);
            }

            var failure = RequestFailure.From(service.Name, error, exception);
            if (attempt == MaxAttempts || !MayRepeat(context, error, failure))
            {
                return failure;
            }

            logger.RequestRetried(info.Id, attempt + 1, service.Name, failure.Text);
            context.Response.Clear();
            context.Response.Headers[TunnelProtocol.RequestHeader] = info.Id;
        }
    }

    // The connection was lost on the way, not refused at its end; and it does no harm if the origin has seen the request already
    // (RFC 9110 section 9.2.2).
    private static bool MayRepeat(HttpContext context, ForwarderError error, RequestFailure failure) =>
        error == ForwarderError.Request
        && failure is { Hop: Hop.Connector, Status: StatusCodes.Status502BadGateway }
        && !context.Response.HasStarted
        && context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: false }
        && (HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method) || HttpMethods.IsOptions(context.Request.Method)
            || HttpMethods.IsPut(context.Request.Method) || HttpMethods.IsDelete(context.Request.Method) || HttpMethods.IsTrace(context.Request.Method));

    private static UploadBody? BodyOf(HttpRequest request) => request.HttpContext.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: true }
        ? new UploadBody(request.Body, request.ContentLength, new Upload())
        : null;

    private static bool IsCall(HttpRequest request) =>
        HttpProtocol.IsHttp2(request.Protocol) && request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) == true;

    private static RequestFailure Cut(HttpContext context, StreamAbort reason)
    {
        if (context.Response.HasStarted)
        {
            // Half an answer must not look like a whole one.
            context.Abort();
        }

        return reason.Code == AbortCode.Revoked
            ? new(StatusCodes.Status403Forbidden, Hop.Ingress, "token-refused", UpgradeAnswers.DeniedText)
            : new(StatusCodes.Status503ServiceUnavailable, Hop.Ingress, reason.Code.ToWire(), $"The request was cut: {reason.Detail}.");
    }

    private static RequestFailure? FaultOf(HttpContext context)
    {
        var target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        if (HttpMethods.IsConnect(context.Request.Method))
        {
            return context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true, Protocol: "websocket" }
                ? null
                : new(StatusCodes.Status501NotImplemented, Hop.Ingress, "bad-request", "CONNECT makes a WebSocket here and nothing else (RFC 8441).");
        }

        var headers = context.Request.Headers;
        if (headers.TransferEncoding.Count > 0 && (headers.ContentLength is not null || headers.ContainsKey(OtherLength) || HttpProtocol.IsHttp10(context.Request.Protocol)))
        {
            // Two answers to where the request ends: whoever sends that wants two readers to differ (RFC 9112 section 6.1).
            context.Response.Headers.Connection = "close";
            return new(StatusCodes.Status400BadRequest, Hop.Ingress, "bad-request", "The request says in two ways how long it is.");
        }

        // In absolute form the authority is not the origin's to see, and the server has compared it with the Host header.
        return RequestTarget.IsSound(RequestTarget.WithoutAuthority(target))
            ? null
            : new(StatusCodes.Status400BadRequest, Hop.Ingress, "bad-request", "The request's target is no path.");
    }

    private void Report(HttpContext context, RequestInfo info, RequestProgress progress, RequestFailure? failure)
    {
        var (request, status) = (context.Request, context.Response.StatusCode);
        var path = ProtocolCodec.OneLine(request.Path.Value);
        var duration = Math.Round(progress.Elapsed.TotalMilliseconds, 3);
        var token = info.TokenId ?? "none";
        if (failure is null)
        {
            logger.RequestServed(info.Id, info.Service, token, AccessCheck.RemoteOf(context), ProtocolCodec.OneLine(request.Method), path, request.Protocol, status, duration);
        }
        else
        {
            status = failure.Status == RequestFailure.ClientClosed ? failure.Status : status;
            logger.RequestFailed(
                info.Id, info.Service, token, AccessCheck.RemoteOf(context), ProtocolCodec.OneLine(request.Method), path, request.Protocol, status, duration,
                failure.Hop.ToWire(), failure.Code, failure.Text);
        }

        metrics.RequestEnded(info.Service, status, progress.AnsweredAfter);
        if (failure is not null)
        {
            metrics.RequestFailed(info.Service, failure.Hop, failure.Code);
        }
    }
}
