using System.Net;
using System.Net.Sockets;
using System.Text;
using Npgsql;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary><c>tunnel-pooler check</c> says at which hop the way to a database ends, and what to do.</summary>
public sealed class PoolerCheckTests(PoolerCheckTests.Ways ways) : IClassFixture<PoolerCheckTests.Ways>
{
    private const string Password = "s3cret of the database";

    [Fact]
    public async Task Good_pool_is_ok()
    {
        var result = await CheckAsync("db", new() { ["User"] = "orders", ["Password"] = Password });

        Assert.Equal(0, result.ExitCode);
        Assert.Matches(@"^ok     tried: PostgreSQL \d+\S*( \([^)]*\))?, not encrypted to the database, login [0-9.]+ ms, query [0-9.]+ ms\n$", result.Output);
    }

    [Fact]
    public async Task Ingress_hostname_does_not_resolve() =>
        Expect(await CheckAsync("db", new() { ["ConnectTo"] = "no-such-host.invalid:443" }), "resolve", "no-such-host.invalid", "Check the spelling and the DNS of this machine.");

    [Fact]
    public async Task Ingress_certificate_is_of_another_ca()
    {
        using var other = new TestAuthority();
        var caFile = await other.WriteRootAsync(Path.Combine(ways.Cluster.Directory, "other.pem"));

        Expect(await CheckAsync("db", new() { ["IngressCaFile"] = caFile }), "tls", $"The certificate of {TunnelCluster.HostnameOf("db")} does not verify: no trusted CA has signed it, but ", "Name the PEM file of its CA in Pools:tried:IngressCaFile.");
    }

    [Fact]
    public async Task Token_is_wrong() =>
        Expect(await CheckAsync("db", new() { ["Token"] = new { File = ways.Cluster.ConnectorToken } }), "ingress", "refused the service token", "tunnel-ingress token create");

    [Fact]
    public async Task No_connector_is_online()
    {
        await using var abandoned = await TunnelCluster.StartAsync(new Dictionary<string, string> { ["db"] = "tcp://127.0.0.1:1" });

        Expect(await PoolerFile.CheckAsync(abandoned.Directory, PoolerFile.Pool(abandoned, "db")), "connector", "No connector that serves db is online", "Start 'tunnel-connector run' beside the target");
    }

    [Fact]
    public async Task Target_refuses() => Expect(await CheckAsync("refusing", []), "target", "The target of service refusing refused the connection.", "is the connector's Target right?");

    [Fact]
    public async Task Client_of_a_pool_is_told_the_hop_too()
    {
        var (pooler, addresses) = await PoolerFile.StartAsync(ways.Cluster.Directory, new
        {
            Listen = new List<string> { "127.0.0.1:0" },
            Users = new Dictionary<string, object> { [TunnelCluster.PoolerUser] = new { Password = TunnelCluster.PoolerPassword } },
            Pools = new Dictionary<string, object>
            {
                ["refusing"] = PoolerFile.Pool(ways.Cluster, "refusing"),
                ["nowhere"] = PoolerFile.Pool(ways.Cluster, "db", new() { ["Database"] = "nowhere" }),
            },
        });
        await using var running = pooler;

        var refused = await RefusalAsync(addresses[0], "refusing");
        Assert.Equal("The connection failed at hop target (connection-refused).", refused.Detail);
        Assert.Contains("The target of service refusing refused the connection.", refused.MessageText, StringComparison.Ordinal);
        var unknown = await RefusalAsync(addresses[0], "nowhere");
        Assert.Equal(("The connection failed at hop database.", "Check the pool's Database."), (unknown.Detail, unknown.Hint));
    }

    [Theory]
    [InlineData("127.0.0.1:5432")]
    [InlineData("http://127.0.0.1:5432")]
    [InlineData("https://127.0.0.1:5432")]
    [InlineData("tls://127.0.0.1:5432")]
    public async Task Origin_is_TCP_a_Unix_socket_or_a_tunnel(string origin)
    {
        var pool = PoolerFile.Pool(ways.Cluster, "db");
        pool["Origin"] = origin;

        var result = await PoolerFile.CheckAsync(ways.Cluster.Directory, pool);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains(
            $"Pools:tried:Origin: '{origin}' is not a database's address: the scheme must be tcp, unix or tunnel. Write tcp://", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("http://g", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task File_that_holds_no_token_is_a_mistake_in_the_configuration()
    {
        var result = await CheckAsync("db", new() { ["Token"] = new { File = ways.Cluster.CaFile } });

        Assert.Equal(2, result.ExitCode);
        Assert.Contains($"Pools:tried:Token:File: The token file {ways.Cluster.CaFile} does not hold", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("wrong", "password authentication failed for user \"orders\"", "Check the pool's User and Password, and the database's pg_hba.conf.")]
    [InlineData(null, "asks for the password of user \"orders\", and the pool has none", "PasswordFile")]
    public async Task Database_password_is_wrong(string? password, string what, string todo) => Expect(
        await CheckAsync("db", password is null ? new() { ["User"] = "orders" } : new() { ["User"] = "orders", ["Password"] = password }), "credentials", what, todo);

    [Fact]
    public async Task Database_name_is_unknown() =>
        Expect(await CheckAsync("db", new() { ["Database"] = "nowhere" }), "database", "has no database \"nowhere\"", "Check the pool's Database.");

    [Fact]
    public async Task What_answers_in_the_databases_place_neither_commands_the_terminal_nor_writes_lines()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var checking = PoolerFile.CheckAsync(
            ways.Cluster.Directory, new() { ["Origin"] = $"tcp://{listener.LocalEndpoint}", ["User"] = "orders", ["Database"] = "orders", ["Tls"] = "disable" });
        using var client = await listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
        var stream = client.GetStream();
        await stream.ReadAtLeastAsync(new byte[1024], 8, cancellationToken: TestContext.Current.CancellationToken);
        var fields = Encoding.UTF8.GetBytes("SFATAL\0C57P03\0Mgo away\nok     tried: \e[2J\0Htry \u202elater\0\0");
        await stream.WriteAsync((byte[])[(byte)'E', 0, 0, 0, (byte)(fields.Length + 4), .. fields], TestContext.Current.CancellationToken);

        var result = await checking;

        Assert.Equal("FAILED tried at origin: the database refuses the connection: go away\\nok     tried: \\u001b[2J\n       try \\u202elater\n", result.Output);
    }

    private static async Task<PostgresException> RefusalAsync(string address, string pool)
    {
        var endPoint = IPEndPoint.Parse(address);
        await using var connection = new NpgsqlConnection(
            $"Host={endPoint.Address};Port={endPoint.Port};Username={TunnelCluster.PoolerUser};Password={TunnelCluster.PoolerPassword};Database={pool};Pooling=false;Timeout=60;SSL Mode=Disable;Include Error Detail=true");
        return await Assert.ThrowsAsync<PostgresException>(() => connection.OpenAsync(TestContext.Current.CancellationToken));
    }

    private static void Expect(CommandResult result, string hop, string what, string todo)
    {
        Assert.Equal(1, result.ExitCode);
        Assert.StartsWith($"FAILED tried at {hop}: ", result.Output, StringComparison.Ordinal);
        Assert.Contains(what, result.Output, StringComparison.Ordinal);
        Assert.Contains(todo, result.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(Password, result.Output + result.Error, StringComparison.Ordinal);
    }

    private Task<CommandResult> CheckAsync(string service, Dictionary<string, object> pool) =>
        PoolerFile.CheckAsync(ways.Cluster.Directory, PoolerFile.Pool(ways.Cluster, service, pool));

    /// <summary>Services of all kinds, and a database that asks one role for its password.</summary>
    public sealed class Ways : IAsyncLifetime
    {
        private PostgresServer _database = null!;

        public TunnelCluster Cluster { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            _database = await PostgresServer.StartAsync(static data =>
                File.WriteAllTextAsync(Path.Combine(data, "pg_hba.conf"), "local all orders scram-sha-256\nlocal all all trust\n"));
            (await _database.RunAsync("psql", "-Xqc", $"create role orders login password '{Password}'", "postgres")).EnsureSuccess();
            Cluster = await TunnelCluster.StartAsync(new Dictionary<string, string>
            {
                ["db"] = $"unix://{_database.SocketPath}",
                ["refusing"] = "tcp://127.0.0.1:1",
            });
            await Cluster.StartConnectorAsync();
        }

        public async ValueTask DisposeAsync()
        {
            await Cluster.DisposeAsync();
            await _database.DisposeAsync();
        }
    }
}
