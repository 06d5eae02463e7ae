using Microsoft.Extensions.Logging;
using Shared.Hosting.Logging;
using Shared.Streams.Sockets;

namespace TunnelPooler;

/// <summary>How many applications may be connected: each may need a connection of its own on the other side, so half of what there are descriptors for.</summary>
internal static class ConnectionLimit
{
    private static readonly TimeSpan LogInterval = TimeSpan.FromSeconds(10);

    /// <summary>The budget of the program's listeners.</summary>
    public static AcceptBudget Create(ILogger logger, TimeProvider time)
    {
        var lines = new LineLimit(1, LogInterval, time, logger.ConnectionsRefused);
        var connections = DescriptorLimit.Connections / 2;
        return new AcceptBudget(connections, perAddress: connections, (_, address) =>
        {
            if (lines.MayWrite())
            {
                logger.ConnectionRefused(address?.ToString() ?? "unix", connections);
            }
        });
    }
}
