using TunnelIngress.Configuration;
using TunnelIngress.Connectors;
using TunnelIngress.Tests.State;

namespace TunnelIngress.Tests.Connectors;

public sealed class ConnectorRegistryTests
{
    private int _sessions;

    [Fact]
    public void One_tunnels_connectors_leave_room_for_those_of_others()
    {
        const int Most = 8;
        var registry = new ConnectorRegistry(new LimitOptions { MaxConnectorsPerTunnel = Most });

        var faults = new string?[200];
        Parallel.For(0, faults.Length, index => faults[index] = registry.Add(Session("crowded")));

        Assert.Equal(Most, faults.Count(static fault => fault is null));
        Assert.All(faults.OfType<string>(), static fault => Assert.Contains("Limits:MaxConnectorsPerTunnel", fault, StringComparison.Ordinal));
        Assert.Equal(Most, registry.Count);
        Assert.Null(registry.Add(Session("other")));
    }

    [Fact]
    public void Connector_that_leaves_makes_room()
    {
        var registry = new ConnectorRegistry(new LimitOptions { MaxConnectors = 2, MaxConnectorsPerTunnel = 1 });
        var (first, second) = (Session("one"), Session("two"));
        Assert.Null(registry.Add(first));
        Assert.NotNull(registry.Add(Session("one")));
        Assert.Null(registry.Add(second));
        Assert.Contains("Limits:MaxConnectors)", registry.Add(Session("three")), StringComparison.Ordinal);

        // Its successor need not wait until it has ended.
        first.Drain();
        Assert.Contains("Limits:MaxConnectors)", registry.Add(Session("one")), StringComparison.Ordinal);
        registry.Remove(first);

        Assert.Null(registry.Add(Session("one")));
        Assert.Null(registry.ById(first.Id));
        Assert.Same(second, registry.ById(second.Id));
    }

    private ConnectorSession Session(string tunnel) => new($"{Interlocked.Increment(ref _sessions)}", tunnel, "replica", name: null, Samples.Accepted, "here", DateTimeOffset.UnixEpoch, control: null!);
}
