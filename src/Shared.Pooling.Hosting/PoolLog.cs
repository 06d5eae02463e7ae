using Microsoft.Extensions.Logging;

namespace Shared.Pooling.Hosting;

/// <summary>What pools write to a program's log. Ids 3500-3599.</summary>
internal static partial class PoolLog
{
    [LoggerMessage(3500, LogLevel.Information, "Client {ClientId} connected to pool {Pool} as {User} from {From}", EventName = "ClientConnected")]
    public static partial void ClientConnected(this ILogger logger, string pool, string user, string from, int clientId);

    [LoggerMessage(3501, LogLevel.Information,
        "Client {ClientId} of pool {Pool}, user {User}, ended: {Reason}; {Requests} requests in {DurationMs} ms", EventName = "ClientEnded")]
    public static partial void ClientEnded(this ILogger logger, string pool, string user, int clientId, long requests, long durationMs, string reason);

    [LoggerMessage(3502, LogLevel.Warning, "A client from {From} was not let in: {Reason}", EventName = "ClientRefused")]
    public static partial void ClientRefused(this ILogger logger, string from, string reason);

    [LoggerMessage(3503, LogLevel.Information, "Pool {Pool} opened a connection to the database: process {ProcessId}", EventName = "ServerOpened")]
    public static partial void ServerOpened(this ILogger logger, string pool, int processId);

    [LoggerMessage(3506, LogLevel.Error, "Pool {Pool} cannot log in to its database; it failed at hop {Hop}: {Reason}", EventName = "ServerFailed")]
    public static partial void ServerFailed(this ILogger logger, string pool, string hop, string reason);

    [LoggerMessage(3507, LogLevel.Error, "Pool {Pool} could not open a connection to its database by a fault of this program", EventName = "ServerFault")]
    public static partial void ServerFault(this ILogger logger, Exception exception, string pool);

    [LoggerMessage(3504, LogLevel.Information, "Pool {Pool} has lost the connection to the database's process {ProcessId}: {Reason}", EventName = "ServerClosed")]
    public static partial void ServerClosed(this ILogger logger, string pool, int processId, string reason);

    [LoggerMessage(3505, LogLevel.Warning, "Pool {Pool} could not cancel a query of the database's process {ProcessId}: {Reason}", EventName = "CancelFailed")]
    public static partial void CancelFailed(this ILogger logger, string pool, int processId, string reason);
}
