using Shared.Streams;
using Shared.Streams.Dialing;
using Yarp.ReverseProxy.Forwarder;

namespace TunnelIngress.Web;

/// <summary>Why a request was not answered by its origin.</summary>
/// <param name="Status">The status for the client.</param>
/// <param name="Hop">Where it failed.</param>
/// <param name="Code">A short stable name.</param>
/// <param name="Text">What happened, and what to do.</param>
internal sealed record RequestFailure(int Status, Hop Hop, string Code, string Text)
{
    /// <summary>The client went away, so nobody gets this status; it is for the log (as nginx has it).</summary>
    public const int ClientClosed = 499;

    /// <summary>The failure behind what the forwarder says.</summary>
    /// <param name="service">The service's name.</param>
    /// <param name="error">What the forwarder says.</param>
    /// <param name="exception">Its cause.</param>
    public static RequestFailure From(string service, ForwarderError error, Exception? exception)
    {
        if (Find<DialException>(exception) is { } dial)
        {
            return Of(dial);
        }

        if (error is ForwarderError.RequestBodyClient or ForwarderError.UpgradeRequestClient or ForwarderError.UpgradeResponseClient or ForwarderError.ResponseBodyClient)
        {
            return Find<BadHttpRequestException>(exception) is { } bad
                ? new(bad.StatusCode, Hop.Ingress, "bad-request", $"The request's body cannot be read: {bad.Message}")
                : new(ClientClosed, Hop.Ingress, "client-closed", "The client closed the connection.");
        }

        if (error == ForwarderError.RequestCreation)
        {
            return new(StatusCodes.Status400BadRequest, Hop.Ingress, "bad-request", "The request's headers cannot be passed on.");
        }

        // Whoever else cancels is the client or ourselves, and then nobody asks.
        if (error is ForwarderError.RequestTimedOut or ForwarderError.UpgradeActivityTimeout or ForwarderError.RequestBodyCanceled or ForwarderError.ResponseBodyCanceled
            || Find<TimeoutException>(exception) is not null)
        {
            return new(StatusCodes.Status504GatewayTimeout, Hop.Target, "timeout",
                $"Nothing came from the target of service {service}, or nothing was taken by the client, for the time that is allowed (--idle-timeout of 'tunnel-ingress service set').");
        }

        return Find<StreamAbortedException>(exception) is { Reason: { Code: not (AbortCode.Reset or AbortCode.Dropped) } reason }
            ? new(StatusCodes.Status502BadGateway, Hop.Connector, reason.Code.ToWire(), $"The stream to the target of service {service} was lost: {reason.Code.ToWire()}.")
            : OfTarget(service, error, exception);
    }

    /// <summary>The origin did not want the body, and its answer cannot be passed on.</summary>
    /// <param name="service">The service's name.</param>
    /// <param name="status">The answer's status; a redirection is none without the rest of the answer.</param>
    public static RequestFailure Refused(string service, int status) => new(
        status < StatusCodes.Status400BadRequest ? StatusCodes.Status502BadGateway : status, Hop.Target, "refused",
        $"The target of service {service} answered {status} before it had the whole body, and broke off.");

    /// <summary>A stream could not be opened.</summary>
    public static RequestFailure Of(DialException failure) => new(
        failure switch
        {
            { Code: "timeout" } => StatusCodes.Status504GatewayTimeout,
            { Hop: Hop.Target } => StatusCodes.Status502BadGateway,
            { Hop: Hop.Ingress, Code: "limited" } => StatusCodes.Status429TooManyRequests,
            { Hop: Hop.Ingress, Code: "unknown-hostname" } => StatusCodes.Status404NotFound,
            _ => StatusCodes.Status503ServiceUnavailable,
        },
        failure.Hop, failure.Code, failure.Message);

    private static RequestFailure OfTarget(string service, ForwarderError error, Exception? exception)
    {
        var (code, text) = Find<HttpRequestException>(exception)?.HttpRequestError switch
        {
            HttpRequestError.InvalidResponse => ("invalid-response", "answered with something that is not HTTP."),
            HttpRequestError.ConfigurationLimitExceeded => ("invalid-response", "answered with headers over the limit."),
            HttpRequestError.HttpProtocolError => ("protocol-error", "broke the rules of HTTP/2."),
            _ when error == ForwarderError.ResponseHeaders => ("invalid-response", "answered with headers that cannot be passed on."),
            _ => ("closed", "closed the connection before it had answered."),
        };
        return new(StatusCodes.Status502BadGateway, Hop.Target, code, $"The target of service {service} {text}");
    }

    private static T? Find<T>(Exception? exception)
        where T : Exception => exception switch
        {
            null => null,
            T found => found,
            AggregateException many => many.InnerExceptions.Select(Find<T>).FirstOrDefault(static found => found is not null),
            _ => Find<T>(exception.InnerException),
        };
}
