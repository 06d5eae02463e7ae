using Microsoft.Extensions.Logging;

namespace TunnelConnector;

/// <summary>Every line the connector writes. Ids 2000-2099.</summary>
internal static partial class ConnectorLog
{
    [LoggerMessage(2000, LogLevel.Information, "Connector {Connector} starts; services: {Services}", EventName = "ConnectorStarting")]
    public static partial void Starting(this ILogger logger, string connector, string services);

    [LoggerMessage(2001, LogLevel.Information, "Registered at {Ingress} for tunnel {Tunnel}", EventName = "ConnectorRegistered")]
    public static partial void Registered(this ILogger logger, Uri ingress, string tunnel);

    [LoggerMessage(2002, LogLevel.Warning, "Not connected to {Ingress}: {Reason} Next attempt in {Delay} ms", EventName = "ConnectorDisconnected")]
    public static partial void Disconnected(this ILogger logger, Uri ingress, string reason, long delay);

    [LoggerMessage(2003, LogLevel.Error, "Not connected to {Ingress}: failed at hop {Hop} ({Code}): {Reason} Next attempt in {Delay} ms", EventName = "IngressUnreachable")]
    public static partial void Unreachable(this ILogger logger, Uri ingress, string hop, string code, string reason, long delay);

    [LoggerMessage(2004, LogLevel.Error, "The ingress {Ingress} gives service {Service} no streams: {Reason}", EventName = "ServiceRejected")]
    public static partial void ServiceRejected(this ILogger logger, Uri ingress, string service, string reason);

    [LoggerMessage(2005, LogLevel.Information, "The ingress {Ingress} drains; new streams come over other ingresses", EventName = "IngressDraining")]
    public static partial void IngressDraining(this ILogger logger, Uri ingress);

    [LoggerMessage(2006, LogLevel.Warning, "A data channel to {Ingress} failed at hop {Hop} ({Code}): {Reason}", EventName = "ChannelFailed")]
    public static partial void ChannelFailed(this ILogger logger, Uri ingress, string hop, string code, string reason);

    [LoggerMessage(2007, LogLevel.Debug, "A parked data channel to {Ingress} was lost: {Reason}", EventName = "ParkedChannelLost")]
    public static partial void ParkedChannelLost(this ILogger logger, Uri ingress, string reason);

    [LoggerMessage(2008, LogLevel.Critical, "The session with {Ingress} ends by a fault of this program", EventName = "SessionFault")]
    public static partial void SessionFault(this ILogger logger, Exception exception, Uri ingress);

    [LoggerMessage(2009, LogLevel.Warning, "A carrier to {Ingress} was lost: {Reason}; its streams are cut, another one is dialled", EventName = "CarrierLost")]
    public static partial void CarrierLost(this ILogger logger, Uri ingress, string reason);

    [LoggerMessage(2013, LogLevel.Information, "Stream {StreamId} was given up before it began: {Reason}", EventName = "StreamAbandoned")]
    public static partial void StreamAbandoned(this ILogger logger, string streamId, string reason);

    [LoggerMessage(2010, LogLevel.Information, "Stream {StreamId} opened: tunnel {Tunnel}, service {Service}", EventName = "StreamOpened")]
    public static partial void StreamOpened(this ILogger logger, string streamId, string tunnel, string service);

    [LoggerMessage(2011, LogLevel.Information,
        "Stream {StreamId} ended: tunnel {Tunnel}, service {Service}, {End} by {EndedBy} ({Reason}), {BytesToTarget} bytes to and {BytesFromTarget} from the target in {DurationMs} ms",
        EventName = "StreamEnded")]
    public static partial void StreamEnded(
        this ILogger logger, string streamId, string tunnel, string service, string end, string endedBy, string reason,
        long bytesToTarget, long bytesFromTarget, long durationMs);

    [LoggerMessage(2012, LogLevel.Warning, "Stream {StreamId} refused: tunnel {Tunnel}, service {Service}, hop {Hop} ({Code}): {Reason}", EventName = "StreamRefused")]
    public static partial void StreamRefused(
        this ILogger logger, string streamId, string tunnel, string service, string hop, string code, string reason);

    [LoggerMessage(2014, LogLevel.Error, "Stream {StreamId} is cut by a fault of this program: tunnel {Tunnel}, service {Service}", EventName = "StreamFault")]
    public static partial void StreamFault(this ILogger logger, Exception exception, string streamId, string tunnel, string service);

    [LoggerMessage(2020, LogLevel.Information, "Draining: {Streams} streams have {GraceSeconds} s to finish", EventName = "Draining")]
    public static partial void Draining(this ILogger logger, int streams, double graceSeconds);

    [LoggerMessage(2021, LogLevel.Warning, "The grace time is over; {Streams} streams are cut", EventName = "DrainCut")]
    public static partial void DrainCut(this ILogger logger, int streams);

    [LoggerMessage(2022, LogLevel.Information, "Stopped", EventName = "Stopped")]
    public static partial void Stopped(this ILogger logger);

    [LoggerMessage(2030, LogLevel.Information, "Configuration reloaded; services: {Services}", EventName = "Reloaded")]
    public static partial void Reloaded(this ILogger logger, string services);

    [LoggerMessage(2031, LogLevel.Error, "Configuration not reloaded, the old one stays: {Reason}", EventName = "ReloadFailed")]
    public static partial void ReloadFailed(this ILogger logger, string reason);

    [LoggerMessage(2032, LogLevel.Warning, "{Key} changed; it takes effect after a restart", EventName = "RestartNeeded")]
    public static partial void RestartNeeded(this ILogger logger, string key);
}
