using Microsoft.Extensions.Logging;
using Shared.Hosting.Logging;
using Shared.Streams.Sockets;

namespace TunnelPooler;

/// <summary>How many applications may be connected: a part of what there are descriptors for, since the other side needs some as well.</summary>
internal static class ConnectionLimit
{
    private static readonly TimeSpan LogInterval = TimeSpan.FromSeconds(10);

    /// <summary>For streams each of which may need a connection of its own on the other side.</summary>
    public static int ForStreams => DescriptorLimit.Connections / 2;

    /// <summary>For clients who share connections on the other side.</summary>
    public static int ForClients => DescriptorLimit.Connections / 4 * 3;

    /// <summary>The budget of the program's listeners.</summary>
    public static AcceptBudget Create(int connections, ILogger logger, TimeProvider time)
    {
        var lines = new LineLimit(1, LogInterval, time, logger.ConnectionsRefused);
        return new AcceptBudget(connections, perAddress: connections, (_, address, _) =>
        {
            if (lines.MayWrite())
            {
                logger.ConnectionRefused(address?.ToString() ?? "unix", connections);
            }
        });
    }
}
