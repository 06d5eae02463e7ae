namespace TunnelIngress.State;

/// <summary>What the state says in the log. Ids 1000-1099.</summary>
internal static partial class StateLog
{
    [LoggerMessage(1000, LogLevel.Information, "State revision {Revision}: {Tunnels} tunnels, {Services} services, {Tokens} tokens", EventName = "StateChanged")]
    public static partial void StateChanged(this ILogger logger, long revision, int tunnels, int services, int tokens);

    [LoggerMessage(1004, LogLevel.Information, "Administration: {Kind} {Name} {What}", EventName = "Administered")]
    public static partial void Administered(this ILogger logger, string kind, string name, string what);

    [LoggerMessage(1005, LogLevel.Information, "Administration: {Changes} more changes in this revision", EventName = "AdministeredMore")]
    public static partial void AdministeredMore(this ILogger logger, int changes);

    [LoggerMessage(1001, LogLevel.Error, "The state cannot be read; what was last read stays in force: {Reason}", EventName = "StateUnreadable")]
    public static partial void StateUnreadable(this ILogger logger, string reason);

    [LoggerMessage(1002, LogLevel.Information, "The state can be read again", EventName = "StateReadableAgain")]
    public static partial void StateReadableAgain(this ILogger logger);

    [LoggerMessage(1003, LogLevel.Error, "A reaction to state revision {Revision} failed", EventName = "StateReactionFailed")]
    public static partial void StateReactionFailed(this ILogger logger, Exception exception, long revision);
}
