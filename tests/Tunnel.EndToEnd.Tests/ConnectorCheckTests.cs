using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary><c>tunnel-connector check</c> tries every target and every ingress, and takes no streams meanwhile.</summary>
public sealed class ConnectorCheckTests(ClusterFixture fixture) : IAsyncLifetime
{
    private TunnelCluster _cluster = null!;

    public async ValueTask InitializeAsync() =>
        _cluster = await TunnelCluster.StartAsync(new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}" });

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task Targets_and_ingresses_that_answer_are_ok_and_nothing_stays_registered()
    {
        var result = await CheckAsync(_cluster.ConnectorToken, $"db=unix://{fixture.Postgres.SocketPath}");

        Assert.Equal(0, result.ExitCode);
        Assert.Matches($"^ok     target db: connected in [0-9.]+ ms\nok     ingress localhost:{_cluster.Port}: registered for tunnel vpc in [0-9.]+ ms\n$", result.Output);
        await _cluster.Ingress.WaitForAsync("ConnectorOnline", static seen => seen["Services"].Length == 0);
        await _cluster.Ingress.WaitForAsync("ConnectorOffline");
    }

    [Fact]
    public async Task Each_that_does_not_answer_is_named_with_its_hop_and_what_to_do()
    {
        var result = await CheckAsync(_cluster.ApplicationToken, "db=tcp://127.0.0.1:1", $"other=unix://{fixture.Postgres.SocketPath}");

        Assert.Equal(1, result.ExitCode);
        var lines = result.Output.Split('\n');
        Assert.StartsWith("FAILED target db at connect: ", lines[0], StringComparison.Ordinal);
        Assert.StartsWith("ok     target other: ", lines[1], StringComparison.Ordinal);
        Assert.StartsWith($"FAILED ingress localhost:{_cluster.Port} at ingress: ", lines[2], StringComparison.Ordinal);
        Assert.Contains("token create", lines[2], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Mistake_in_the_configuration_is_one_before_anything_is_tried()
    {
        var result = await CheckAsync(_cluster.ConnectorToken, "db=nowhere");

        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains("Services:db:Target", result.Error, StringComparison.Ordinal);
    }

    private Task<CommandResult> CheckAsync(string tokenFile, params string[] services) => CommandLine.RunAsync(
        "tunnel-connector",
        [
            "check", "--ingress", $"wss://localhost:{_cluster.Port}", "--token-file", tokenFile, "--ca-file", _cluster.CaFile,
            .. services.SelectMany(static service => new[] { "--service", service }),
        ]);
}
