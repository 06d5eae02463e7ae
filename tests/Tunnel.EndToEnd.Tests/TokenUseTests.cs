using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Npgsql;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>What <c>token list</c> says of tokens that were used in each of the ways there are.</summary>
public sealed class TokenUseTests(ClusterFixture fixture) : IAsyncLifetime
{
    private TunnelCluster _cluster = null!;
    private int _postgresPort;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _cluster = await TunnelCluster.StartAsync(
            new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}", ["site"] = "http://127.0.0.1:1" }, "--postgres", "127.0.0.1:0");
        _postgresPort = IPEndPoint.Parse((await _cluster.Ingress.WaitForAsync("PostgresListening"))["Address"]).Port;
        await _cluster.AdminAsync("service", "set", "site", "--protocol", "http");
        await _cluster.AdminAsync("pool", "set", "db", "--user", "postgres", "--database", "postgres");
    }

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task Every_way_in_is_a_use_and_a_refused_secret_is_none()
    {
        var (socket, web, postgres, guessed) = (
            await CreateTokenAsync("socket"), await CreateTokenAsync("web"), await CreateTokenAsync("postgres"), await CreateTokenAsync("guessed"));
        await KnownAsync(await CreateTokenAsync("idle"));
        await _cluster.StartConnectorAsync();
        await DatabaseClient.AssertWorksAsync((await _cluster.StartForwarderAsync("db")).Addresses[0]);
        Assert.Equal(HttpStatusCode.SwitchingProtocols, await AskAsync("db", socket));
        Assert.Equal(HttpStatusCode.BadGateway, await AskAsync("site", web));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync("site", (guessed.Id, "tunnel_guess")));
        await LogInAsync(postgres);
        await Assert.ThrowsAsync<PostgresException>(() => LogInAsync((guessed.Id, "tunnel_guess")));

        await StopIngressAsync();

        var rows = await ListAsync();
        Assert.Equal(["application", "connector", "guessed", "idle", "postgres", "socket", "web"], rows.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, row) in rows)
        {
            var isUsed = name is not ("guessed" or "idle");
            Assert.Equal((name, isUsed ? "127.0.0.1" : null), (name, row.GetProperty("lastUsedFrom").GetString()));
            Assert.Equal(isUsed ? JsonValueKind.String : JsonValueKind.Null, row.GetProperty("lastUsedAt").ValueKind);
            Assert.Equal(JsonValueKind.Null, row.GetProperty("oldSecretsLastUsedAt").ValueKind);
        }
    }

    [Fact]
    public async Task While_a_rotation_overlaps_the_list_tells_whose_old_secret_is_still_used()
    {
        var (oldWeb, newWeb) = await RotateAsync("web");
        var (oldPostgres, newPostgres) = await RotateAsync("postgres");
        var (_, changedWeb) = await RotateAsync("changed-web");
        var (_, changedPostgres) = await RotateAsync("changed-postgres");
        await KnownAsync(await CreateTokenAsync("last"));
        await _cluster.StartConnectorAsync();
        foreach (var token in new[] { oldWeb, newWeb, changedWeb })
        {
            Assert.Equal(HttpStatusCode.BadGateway, await AskAsync("site", token));
        }

        foreach (var token in new[] { oldPostgres, newPostgres, changedPostgres })
        {
            await LogInAsync(token);
        }

        await StopIngressAsync();

        var rows = await ListAsync();
        foreach (var name in new[] { "web", "postgres", "changed-web", "changed-postgres" })
        {
            Assert.Equal(JsonValueKind.String, rows[name].GetProperty("lastUsedAt").ValueKind);
            Assert.Equal((name, name.StartsWith("changed", StringComparison.Ordinal) ? null : "127.0.0.1"), (name, rows[name].GetProperty("oldSecretsLastUsedFrom").GetString()));
        }
    }

    private async Task<(string Id, string Secret)> CreateTokenAsync(string name)
    {
        var file = Path.Combine(_cluster.Directory, $"{name}.token");
        await _cluster.AdminAsync("token", "create", name, "--access", "db", "site", "--output", file);
        return PostgresPortFixture.TokenOf(file);
    }

    private async Task<((string Id, string Secret) Old, (string Id, string Secret) New)> RotateAsync(string name)
    {
        var old = await CreateTokenAsync(name);
        var file = Path.Combine(_cluster.Directory, $"{name}.token");
        await _cluster.AdminAsync("token", "rotate", old.Id, "--overlap", "1h", "--output", file);
        return (old, PostgresPortFixture.TokenOf(file));
    }

    /// <summary>The ingress has read the state with this token, and all that came before it.</summary>
    private Task KnownAsync((string Id, string Secret) token) => _cluster.Ingress.WaitForAsync("Administered", seen => seen["Name"] == token.Id);

    private async Task StopIngressAsync()
    {
        await _cluster.Ingress.SignalAsync("TERM");
        Assert.Equal(0, await _cluster.Ingress.WaitForExitAsync());
    }

    private async Task<Dictionary<string, JsonElement>> ListAsync() =>
        (await _cluster.AdminAsync("token", "list")).EnumerateArray().ToDictionary(static row => row.GetProperty("name").GetString()!);

    private async Task LogInAsync((string Id, string Secret) token)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder
        {
            Host = "localhost",
            Port = _postgresPort,
            Username = token.Id,
            Password = token.Secret,
            Database = "db",
            SslMode = SslMode.VerifyFull,
            RootCertificate = _cluster.CaFile,
            Pooling = false,
            Timeout = 60,
        }.ConnectionString);
        await connection.OpenAsync(Cancelled);
    }

    /// <summary>Asks for a WebSocket: of a service of plain bytes, a stream; of an HTTP service, a request.</summary>
    private async Task<HttpStatusCode> AskAsync(string service, (string Id, string Secret) token)
    {
        using var client = new HttpClient(ClusterHttp.Handler(_cluster));
        using var request = new HttpRequestMessage(HttpMethod.Get, $"https://{TunnelCluster.HostnameOf(service)}:{_cluster.Port}/");
        request.Headers.Connection.Add("Upgrade");
        request.Headers.Upgrade.Add(new ProductHeaderValue("websocket"));
        request.Headers.Add("Sec-WebSocket-Version", "13");
        request.Headers.Add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        request.Headers.Add("CF-Access-Client-Id", token.Id);
        request.Headers.Add("CF-Access-Client-Secret", token.Secret);
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancelled);
        return response.StatusCode;
    }
}
