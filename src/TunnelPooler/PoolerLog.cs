using Microsoft.Extensions.Logging;

namespace TunnelPooler;

/// <summary>Every line the program writes. Ids 3000-3099.</summary>
internal static partial class PoolerLog
{
    [LoggerMessage(3000, LogLevel.Information, "Forwarding {Address} to {Hostname}", EventName = "ForwardListening")]
    public static partial void ForwardListening(this ILogger logger, string address, string hostname);

    [LoggerMessage(3001, LogLevel.Error, "A connection to {Address} could not be accepted or served; going on", EventName = "AcceptFailed")]
    public static partial void AcceptFailed(this ILogger logger, Exception exception, string address);

    [LoggerMessage(3002, LogLevel.Warning, "A connection from {From} was closed: {Limit} are open, which is all that there are file descriptors for; raise the limit of open files (LimitNOFILE)", EventName = "ConnectionRefused")]
    public static partial void ConnectionRefused(this ILogger logger, string from, int limit);

    [LoggerMessage(3003, LogLevel.Warning, "{Count} more connections were closed", EventName = "ConnectionsRefused")]
    public static partial void ConnectionsRefused(this ILogger logger, long count);

    [LoggerMessage(3010, LogLevel.Information, "Stream {StreamId} opened: {Hostname}, from {From}, in {OpenMs} ms", EventName = "StreamOpened")]
    public static partial void StreamOpened(this ILogger logger, string streamId, string hostname, string from, double openMs);

    [LoggerMessage(3011, LogLevel.Information,
        "Stream {StreamId} ended: {Hostname}, {End} by {EndedBy} ({Reason}), {BytesToTarget} bytes to and {BytesFromTarget} from the target in {DurationMs} ms",
        EventName = "StreamEnded")]
    public static partial void StreamEnded(
        this ILogger logger, string streamId, string hostname, string end, string endedBy, string reason, long bytesToTarget, long bytesFromTarget,
        long durationMs);

    [LoggerMessage(3012, LogLevel.Error, "A connection from {From} to {Hostname} failed at hop {Hop} ({Code}): {Reason}", EventName = "StreamRefused")]
    public static partial void StreamRefused(
        this ILogger logger, string from, string hostname, string hop, string code, string reason);

    [LoggerMessage(3020, LogLevel.Information, "Draining: {Streams} streams have {GraceSeconds} s to finish", EventName = "Draining")]
    public static partial void Draining(this ILogger logger, int streams, double graceSeconds);

    [LoggerMessage(3021, LogLevel.Warning, "The grace time is over; {Streams} streams are cut", EventName = "DrainCut")]
    public static partial void DrainCut(this ILogger logger, int streams);

    [LoggerMessage(3030, LogLevel.Information, "Configuration reloaded", EventName = "Reloaded")]
    public static partial void Reloaded(this ILogger logger);

    [LoggerMessage(3031, LogLevel.Error, "Configuration not reloaded, the old one stays: {Reason}", EventName = "ReloadFailed")]
    public static partial void ReloadFailed(this ILogger logger, string reason);

    [LoggerMessage(3032, LogLevel.Warning, "{Key} changed; it takes effect after a restart", EventName = "RestartNeeded")]
    public static partial void RestartNeeded(this ILogger logger, string key);

    [LoggerMessage(3033, LogLevel.Error, "Configuration reloaded, but not every address is listened on: {Reason}", EventName = "ReloadIncomplete")]
    public static partial void ReloadIncomplete(this ILogger logger, string reason);

    [LoggerMessage(3022, LogLevel.Information, "Stopped", EventName = "Stopped")]
    public static partial void Stopped(this ILogger logger);

    [LoggerMessage(3040, LogLevel.Information, "Pooling on {Address}: {Pools}", EventName = "PoolerListening")]
    public static partial void PoolerListening(this ILogger logger, string address, string pools);

    [LoggerMessage(3047, LogLevel.Information, "Draining: {Clients} clients have {GraceSeconds} s to finish", EventName = "PoolerDraining")]
    public static partial void PoolerDraining(this ILogger logger, int clients, double graceSeconds);

    [LoggerMessage(3048, LogLevel.Warning, "The grace time is over; {Clients} clients are cut", EventName = "PoolerDrainCut")]
    public static partial void PoolerDrainCut(this ILogger logger, int clients);
}
