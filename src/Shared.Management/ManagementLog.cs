using Microsoft.Extensions.Logging;

namespace Shared.Management;

/// <summary>What the management address writes. Ids 800-899.</summary>
internal static partial class ManagementLog
{
    [LoggerMessage(800, LogLevel.Information, "Management on {Address}: /healthz /readyz /metrics", EventName = "ManagementListening")]
    public static partial void ManagementListening(this ILogger logger, string address);
}
