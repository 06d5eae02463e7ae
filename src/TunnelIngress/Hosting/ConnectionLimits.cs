using Shared.Hosting.Logging;
using Shared.Streams.Sockets;
using TunnelIngress.Configuration;
using TunnelIngress.Metrics;

namespace TunnelIngress.Hosting;

/// <summary>The places for connections at all addresses but that of management, as configured or as there are file descriptors for.</summary>
internal static class ConnectionLimits
{
    /// <summary>Of all places, so many may be taken by one address without a token, if the configuration does not say.</summary>
    private const int AddressShare = 8;

    private static readonly TimeSpan LogInterval = TimeSpan.FromSeconds(10);

    /// <summary>The budget; what it refuses is counted, and written to the log once in a while.</summary>
    public static AcceptBudget Budget(LimitOptions limits, IngressMetrics metrics, TimeProvider time, ILogger logger)
    {
        var connections = limits.MaxConnections > 0 ? limits.MaxConnections : DescriptorLimit.Connections;
        var perAddress = limits.MaxConnectionsPerAddress > 0 ? limits.MaxConnectionsPerAddress : Math.Max(1, connections / AddressShare);
        var lines = new LineLimit(1, LogInterval, time, logger.ConnectionsRefused);
        AcceptBudget budget = null!;
        budget = new AcceptBudget(connections, perAddress, (refusal, address) =>
        {
            metrics.ConnectionRefused(refusal);
            if (lines.MayWrite())
            {
                logger.ConnectionRefused(address?.ToString() ?? "unix", Reason(refusal, budget));
            }
        });
        metrics.ObserveConnections(budget);
        return budget;
    }

    private static string Reason(AcceptRefusal refusal, AcceptBudget budget) => refusal switch
    {
        AcceptRefusal.Full => $"{budget.Connections} are open (Limits:MaxConnections; by default what the limit of open files, LimitNOFILE, allows)",
        AcceptRefusal.Address => $"{budget.PerAddress} of this address are open that have shown no token (Limits:MaxConnectionsPerAddress)",
        _ => $"callers of public services have {budget.Strangers}, three quarters of all (Limits:MaxConnections)",
    };
}
