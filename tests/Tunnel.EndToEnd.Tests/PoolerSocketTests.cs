using System.Net;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>The pooler on a Unix socket, with and without trust in whoever can open it.</summary>
public sealed class PoolerSocketTests(ClusterFixture fixture) : IDisposable
{
    private const string SocketPort = "6543";

    private readonly string _directory = Directory.CreateTempSubdirectory("pooler-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Trust_asks_for_no_password_on_the_socket_and_for_one_on_tcp()
    {
        var (process, port) = await StartAsync(trust: true);
        await using var pooler = process;

        Assert.Equal("1\n", (await PsqlAsync(_directory, SocketPort, TunnelCluster.PoolerUser)).EnsureSuccess().Output);
        Assert.Equal("1\n", (await PsqlAsync(_directory, SocketPort, "anybody")).EnsureSuccess().Output);
        Assert.Contains("no password supplied", (await PsqlAsync("127.0.0.1", port, TunnelCluster.PoolerUser)).Error, StringComparison.Ordinal);
        Assert.Equal("1\n", (await PsqlAsync("127.0.0.1", port, TunnelCluster.PoolerUser, TunnelCluster.PoolerPassword)).EnsureSuccess().Output);
    }

    [Fact]
    public async Task Without_trust_the_socket_asks_for_the_password()
    {
        var (process, _) = await StartAsync(trust: false);
        await using var pooler = process;

        Assert.Contains("no password supplied", (await PsqlAsync(_directory, SocketPort, TunnelCluster.PoolerUser)).Error, StringComparison.Ordinal);
        Assert.Contains("password authentication failed", (await PsqlAsync(_directory, SocketPort, TunnelCluster.PoolerUser, "wrong")).Error, StringComparison.Ordinal);
        Assert.Equal("1\n", (await PsqlAsync(_directory, SocketPort, TunnelCluster.PoolerUser, TunnelCluster.PoolerPassword)).EnsureSuccess().Output);
    }

    private async Task<(ProgramProcess Pooler, string Port)> StartAsync(bool trust)
    {
        var (process, addresses) = await PoolerFile.StartAsync(
            _directory,
            new
            {
                Listen = new List<string> { "127.0.0.1:0", $"unix:{_directory}/.s.PGSQL.{SocketPort}" },
                TrustUnixSockets = trust,
                Users = new Dictionary<string, object> { [TunnelCluster.PoolerUser] = new { Password = TunnelCluster.PoolerPassword } },
                Pools = new Dictionary<string, object> { ["postgres"] = PoolerFile.Pool(fixture.Cluster, "db") },
            },
            listeners: 2);
        return (process, $"{IPEndPoint.Parse(addresses.Single(static address => !address.StartsWith("unix:", StringComparison.Ordinal))).Port}");
    }

    // -w: it fails instead of asking.
    private static Task<CommandResult> PsqlAsync(string host, string port, string user, string? password = null) => CommandLine.RunAsync(
        "psql",
        ["-XAtw", "-h", host, "-p", port, "-U", user, "-c", "select 1", "postgres"],
        password is null ? [] : new Dictionary<string, string> { ["PGPASSWORD"] = password });
}
