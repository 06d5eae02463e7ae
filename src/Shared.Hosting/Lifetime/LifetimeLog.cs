using Microsoft.Extensions.Logging;

namespace Shared.Hosting.Lifetime;

/// <summary>What every service process writes of its life. Ids 900-999.</summary>
internal static partial class LifetimeLog
{
    [LoggerMessage(900, LogLevel.Warning,
        "SIGHUP will not reload the configuration: this process was started with that signal ignored, as nohup does. Start it with setsid or by a service manager instead, or restart it after a change",
        EventName = "ReloadIgnored")]
    public static partial void ReloadIgnored(this ILogger logger);
}
