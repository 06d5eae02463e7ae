namespace TunnelIngress.Access;

/// <summary>What access control says in the log; never a secret, and a client id only in the form of one. Ids 1200-1299.</summary>
internal static partial class AccessLog
{
    [LoggerMessage(1200, LogLevel.Warning, "A service token was refused: client id {ClientId}, from {From}, host {Host}, path {Path}, request {Request}: {Reason}", EventName = "AccessDenied")]
    public static partial void AccessDenied(this ILogger logger, string clientId, string from, string host, string path, string request, string reason);

    [LoggerMessage(1201, LogLevel.Warning, "{Count} more refused service tokens were not logged", EventName = "AccessDenialsNotLogged")]
    public static partial void AccessDenialsNotLogged(this ILogger logger, long count);

    [LoggerMessage(1203, LogLevel.Warning, "The last uses of tokens could not be written into the state; that is tried again every minute: {Reason}", EventName = "TokenUsesNotWritten")]
    public static partial void TokenUsesNotWritten(this ILogger logger, string reason);

    [LoggerMessage(1202, LogLevel.Warning, "{Count} more PostgreSQL clients that were not let in were not logged", EventName = "ClientRefusalsNotLogged")]
    public static partial void ClientRefusalsNotLogged(this ILogger logger, long count);
}
