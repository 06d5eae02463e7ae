using System.Net;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Users who log in to the pooler with a certificate.</summary>
public sealed class PoolerCertificateTests(ClusterFixture fixture) : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("pooler-").FullName;
    private readonly TestAuthority _clients = new();
    private readonly TestAuthority _others = new();

    public async ValueTask InitializeAsync()
    {
        using var servers = new TestAuthority();
        await servers.WriteRootAsync(In("root.pem"));
        await servers.IssueAsync("localhost", In("server.pem"), In("server.key"));
        await _clients.WriteRootAsync(In("clients.pem"));
    }

    public ValueTask DisposeAsync()
    {
        _clients.Dispose();
        _others.Dispose();
        Directory.Delete(_directory, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Certificate_of_the_user_is_enough_and_needed()
    {
        var (process, port) = await StartAsync(required: false);
        await using var pooler = process;

        Assert.Equal("1\n", (await PsqlAsync(port, "robot", await IssueAsync(_clients, "robot"))).EnsureSuccess().Output);

        Assert.Contains("certificate authentication failed for user \"robot\"", (await PsqlAsync(port, "robot", certificate: null)).Error, StringComparison.Ordinal);
        Assert.Contains("certificate authentication failed for user \"robot\"", (await PsqlAsync(port, "robot", await IssueAsync(_clients, "somebody"))).Error, StringComparison.Ordinal);
        var stranger = await PsqlAsync(port, "robot", await IssueAsync(_others, "robot"));
        Assert.Equal(2, stranger.ExitCode);
        Assert.DoesNotContain("authentication failed", stranger.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Others_log_in_with_a_password_beside_them()
    {
        var (process, port) = await StartAsync(required: false);
        await using var pooler = process;

        (await PsqlAsync(port, TunnelCluster.PoolerUser, certificate: null)).EnsureSuccess();
        (await PsqlAsync(port, TunnelCluster.PoolerUser, await IssueAsync(_clients, "robot"))).EnsureSuccess();
    }

    [Fact]
    public async Task Certificate_may_be_required_of_everybody()
    {
        var (process, port) = await StartAsync(required: true);
        await using var pooler = process;

        (await PsqlAsync(port, TunnelCluster.PoolerUser, await IssueAsync(_clients, "anybody"))).EnsureSuccess();
        Assert.Equal(2, (await PsqlAsync(port, TunnelCluster.PoolerUser, certificate: null)).ExitCode);
    }

    private string In(string name) => Path.Combine(_directory, name);

    private async Task<string> IssueAsync(TestAuthority authority, string name)
    {
        var file = In(Path.GetRandomFileName());
        await authority.IssueAsync(name, file, $"{file}.key");
        return file;
    }

    private async Task<(ProgramProcess Pooler, int Port)> StartAsync(bool required)
    {
        var (process, addresses) = await PoolerFile.StartAsync(_directory, new
        {
            Listen = new List<string> { "127.0.0.1:0" },
            Tls = new { Certificate = In("server.pem"), Key = In("server.key"), Required = true, ClientCaFile = In("clients.pem"), RequireClientCertificate = required },
            Users = new Dictionary<string, object>
            {
                [TunnelCluster.PoolerUser] = new { Password = TunnelCluster.PoolerPassword },
                ["robot"] = new { Certificate = true },
            },
            Pools = new Dictionary<string, object> { ["postgres"] = PoolerFile.Pool(fixture.Cluster, "db") },
        });
        return (process, IPEndPoint.Parse(addresses[0]).Port);
    }

    private Task<CommandResult> PsqlAsync(int port, string user, string? certificate)
    {
        var options = $"host=localhost hostaddr=127.0.0.1 port={port} user={user} dbname=postgres sslmode=verify-full sslrootcert={In("root.pem")}";
        return CommandLine.RunAsync(
            "psql",
            ["-XAtwc", "select 1", certificate is null ? $"{options} sslcert={In("none")}" : $"{options} sslcert={certificate} sslkey={certificate}.key"],
            user == TunnelCluster.PoolerUser ? new Dictionary<string, string> { ["PGPASSWORD"] = TunnelCluster.PoolerPassword } : []);
    }
}
