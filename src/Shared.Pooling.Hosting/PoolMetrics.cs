using System.Diagnostics.Metrics;
using Shared.Pooling.Postgres;

namespace Shared.Pooling.Hosting;

/// <summary>The pools' instruments. Labels are pools and states only: all bounded, none secret. Safe for concurrent use.</summary>
public sealed class PoolMetrics : IDisposable
{
    /// <summary>The meter's name.</summary>
    public const string MeterName = "tunnel_pool";

    private readonly Meter _meter = new(MeterName);
    private readonly PostgresPooler _pooler;

    /// <summary>Creates the instruments.</summary>
    public PoolMetrics(PostgresPooler pooler)
    {
        _pooler = pooler;
        _meter.CreateObservableGauge("clients", () => Each(
            ("state", "active", static pool => pool.ClientsActive), ("state", "idle", static pool => pool.ClientsIdle), ("state", "waiting", static pool => pool.ClientsWaiting)),
            description: "Clients, by what they do");
        _meter.CreateObservableGauge("servers", () => Each(
            ("state", "active", static pool => pool.ServersActive), ("state", "idle", static pool => pool.ServersIdle),
            ("state", "connecting", static pool => pool.ServersConnecting), ("state", "replication", static pool => pool.Replications)),
            description: "Connections to the database, by what they do");
        _meter.CreateObservableGauge("servers_pinned", Pinned, description: "Connections that a client keeps between its transactions, by why");
        _meter.CreateObservableGauge("oldest_wait_seconds", () => Sum(static pool => pool.OldestWait.TotalSeconds), description: "How long the first client has waited for a connection");
        _meter.CreateObservableCounter("requests", () => Sum(static pool => (double)pool.Requests), description: "Requests");
        _meter.CreateObservableCounter("transactions", () => Sum(static pool => (double)pool.Transactions), description: "Transactions");
        _meter.CreateObservableCounter("wait_seconds", () => Sum(static pool => pool.WaitTotal.TotalSeconds), description: "Time that clients have waited for connections");
        _meter.CreateObservableCounter("servers_opened", () => Sum(static pool => (double)pool.ServersOpened), description: "Connections opened");
        _meter.CreateObservableCounter("logins_failed", () => Sum(static pool => (double)pool.LoginsFailed), description: "Logins at the database that failed");
    }

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();

    // Pools of one name are one: users and databases are the clients' choice, and labels must be bounded.
    private IEnumerable<IGrouping<string, PoolStatus>> ByName() => _pooler.Status.GroupBy(static pool => pool.Pool, StringComparer.Ordinal);

    private IEnumerable<Measurement<double>> Sum(Func<PoolStatus, double> value) =>
        ByName().Select(pools => new Measurement<double>(pools.Sum(value), new KeyValuePair<string, object?>("pool", pools.Key)));

    private IEnumerable<Measurement<int>> Each(params (string Label, string Name, Func<PoolStatus, int> Value)[] states) =>
        ByName().SelectMany(pools => states.Select(state => new Measurement<int>(
            pools.Sum(state.Value), new("pool", pools.Key), new KeyValuePair<string, object?>(state.Label, state.Name))));

    private IEnumerable<Measurement<int>> Pinned() => ByName().SelectMany(static pools => pools
        .SelectMany(static pool => pool.ServersPinned)
        .GroupBy(static pin => pin.Key)
        .Select(pins => new Measurement<int>(
            pins.Sum(static pin => pin.Value), new("pool", pools.Key), new KeyValuePair<string, object?>("by", pins.Key.ToString()))));
}
