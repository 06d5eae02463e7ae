namespace TunnelIngress.State;

internal static partial class StateLog
{
    [LoggerMessage(1000, LogLevel.Error, "The state cannot be read; what was known last stays in force until it can", EventName = "StateUnavailable")]
    public static partial void StateUnavailable(this ILogger logger, Exception exception);

    [LoggerMessage(1001, LogLevel.Information, "The state can be read again after {FailedPolls} failed polls", EventName = "StateAvailable")]
    public static partial void StateAvailable(this ILogger logger, long failedPolls);

    [LoggerMessage(1002, LogLevel.Information, "State revision {Revision}: {Tunnels} tunnels, {Services} services, {Tokens} tokens", EventName = "StateLoaded")]
    public static partial void StateLoaded(this ILogger logger, long revision, int tunnels, int services, int tokens);

    [LoggerMessage(1003, LogLevel.Error, "A reaction to state revision {Revision} failed", EventName = "StateReactionFailed")]
    public static partial void StateReactionFailed(this ILogger logger, Exception exception, long revision);
}
