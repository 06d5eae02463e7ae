using System.Net;
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

        // A crowd of strangers must not hide what a token does.
        var (strangers, holders) = (Lines(), Lines());
        AcceptBudget budget = null!;
        var perAddress = limits.MaxConnectionsPerAddress > 0 ? limits.MaxConnectionsPerAddress : Math.Max(1, connections / AddressShare);
        budget = new AcceptBudget(connections, perAddress, OnRefused)
        {
            PerHolder = limits.MaxConnectionsPerToken > 0 ? limits.MaxConnectionsPerToken : null,
        };
        metrics.ObserveConnections(budget);
        return budget;

        LineLimit Lines() => new(1, LogInterval, time, logger.ConnectionsRefused);

        void OnRefused(AcceptRefusal refusal, IPAddress? address, string? holder)
        {
            metrics.ConnectionRefused(refusal);
            if ((holder is null ? strangers : holders).MayWrite())
            {
                logger.ConnectionRefused(address?.ToString() ?? "unix", Reason(refusal, holder, budget));
            }
        }
    }

    private static string Reason(AcceptRefusal refusal, string? holder, AcceptBudget budget) => refusal switch
    {
        AcceptRefusal.Full => $"{budget.Connections} are open (Limits:MaxConnections; by default what the limit of open files, LimitNOFILE, allows)",
        AcceptRefusal.Address => $"{budget.PerAddress} of this address are open that have shown no token (Limits:MaxConnectionsPerAddress)",
        AcceptRefusal.Holder when budget.PerHolder is { } share => $"{share} of {holder} are open (Limits:MaxConnectionsPerToken)",
        AcceptRefusal.Holder => $"{holder} has as many as are left for all others (Limits:MaxConnectionsPerToken)",
        AcceptRefusal.Strangers => $"callers of public services have {budget.Strangers}, three quarters of all (Limits:MaxConnections)",
        _ => $"applications have {budget.Callers}, seven eighths of all (Limits:MaxConnections)",
    };
}
