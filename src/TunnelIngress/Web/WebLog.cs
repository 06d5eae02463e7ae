namespace TunnelIngress.Web;

/// <summary>What is said of requests to HTTP services. Paths without their query, which may hold a secret. Ids 1600-1699.</summary>
internal static partial class WebLog
{
    [LoggerMessage(1600, LogLevel.Information,
        "Request {Request}: service {Service}, token {Token}, from {From}, {Method} {Path} ({Protocol}): {Status} in {DurationMs} ms",
        EventName = "RequestServed")]
    public static partial void RequestServed(
        this ILogger logger, string request, string service, string token, string from, string method, string path, string protocol, int status, double durationMs);

    [LoggerMessage(1601, LogLevel.Warning,
        "Request {Request} failed: service {Service}, token {Token}, from {From}, {Method} {Path} ({Protocol}): {Status} in {DurationMs} ms, hop {Hop} ({Code}): {Reason}",
        EventName = "RequestFailed")]
    public static partial void RequestFailed(
        this ILogger logger, string request, string service, string token, string from, string method, string path, string protocol, int status, double durationMs,
        string hop, string code, string reason);

    [LoggerMessage(1602, LogLevel.Information, "Request {Request} is sent again, attempt {Attempt}: service {Service}: {Reason}", EventName = "RequestRetried")]
    public static partial void RequestRetried(this ILogger logger, string request, int attempt, string service, string reason);

    [LoggerMessage(1603, LogLevel.Debug, "Request {Request}: no service has hostname {Host}", EventName = "RequestUnknown")]
    public static partial void RequestUnknown(this ILogger logger, string request, string host);
}
