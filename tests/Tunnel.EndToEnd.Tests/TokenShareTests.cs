using System.Net;
using System.Net.WebSockets;
using Npgsql;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Applications that open more connections than they close: those of one token, and all of them together.</summary>
public sealed class TokenShareTests(ClusterFixture fixture) : IAsyncLifetime
{
    private const int Connections = 64;
    private const int PerToken = 6;

    /// <summary>What applications leave to connectors.</summary>
    private const int Reserve = Connections / 8;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly RawTarget _target = new();
    private readonly List<ClientWebSocket> _leaked = [];
    private TunnelCluster _cluster = null!;
    private HttpMessageInvoker _http = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _cluster = await TunnelCluster.StartAsync(
            new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}", ["raw"] = _target.Address });
        await _cluster.AdminAsync("service", "add", "web", "--hostname", TunnelCluster.HostnameOf("web"), "--tunnel", TunnelCluster.Tunnel, "--protocol", "http");
        _http = new HttpMessageInvoker(ClusterHttp.Handler(_cluster));
    }

    public async ValueTask DisposeAsync()
    {
        _leaked.ForEach(static socket => socket.Dispose());
        _http.Dispose();
        await _cluster.DisposeAsync();
        _target.Dispose();
    }

    [Fact]
    public async Task Token_that_leaks_connections_keeps_nobody_else_out()
    {
        await RestartAsync(PerToken, "--local", "raw=127.0.0.1:0", "--postgres", "127.0.0.1:0");
        var leaky = await NewTokenAsync("leaky");
        var other = await NewTokenAsync("other");
        Assert.Null(await LeakAsync(leaky, "db"));
        for (var number = 1; number < PerToken; number++)
        {
            Assert.Null(await LeakAsync(leaky));
        }

        // Each way in says so in its own words.
        Assert.Equal((429, "ingress/limited"), await LeakAsync(leaky));
        using (var answer = await GetAsync("web", leaky))
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, answer.StatusCode);
            Assert.Contains("Limits:MaxConnectionsPerToken", await answer.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
            Assert.True(answer.Headers.ConnectionClose);
        }

        var (_, forwarder) = await _cluster.StartForwarderAsync("db", leaky.File, environment: null);
        var refused = await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.ConnectAsync(forwarder[0]));
        AssertNamesTheLimit(refused);
        refused = await Assert.ThrowsAsync<PostgresException>(() => ConnectToPortAsync(leaky));
        AssertNamesTheLimit(refused);

        var logged = await _cluster.Ingress.WaitForAsync("ConnectionRefused", seen => seen["Reason"].Contains("Limits:MaxConnectionsPerToken", StringComparison.Ordinal));
        Assert.Contains($"{PerToken} of {leaky.Id}", logged["Reason"], StringComparison.Ordinal);
        using var http = new HttpClient();
        Assert.Matches(
            "(?m)^tunnel_ingress_connections_refused(_total)?\\{.*limit=\"holder\".*\\} [1-9]", await http.GetStringAsync(new Uri(_cluster.Management, "/metrics"), Cancelled));

        Assert.Null(await LeakAsync(other));
        await (await ConnectToPortAsync(other)).DisposeAsync();
        await _cluster.StartConnectorAsync();

        // What it gives back it may have again: this one's target ends as soon as it does.
        _leaked[0].Abort();
        await PostgresPortFixture.UntilAsync(async () => await LeakAsync(leaky) is null);
    }

    [Fact]
    public async Task Callers_of_a_local_listener_have_the_share_of_a_token()
    {
        await RestartAsync(PerToken, "--local", "db=127.0.0.1:0", "--local", "raw=127.0.0.1:0");
        var address = await _cluster.LocalListenerAsync("db");
        var clients = new List<NpgsqlConnection>();
        for (var number = 0; number < PerToken; number++)
        {
            clients.Add(await DatabaseClient.ConnectAsync(address));
        }

        AssertNamesTheLimit(await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.ConnectAsync(address)));
        Assert.Null(await LeakAsync(await NewTokenAsync("other")));
        clients.ForEach(static client => client.Dispose());
    }

    [Fact]
    public async Task All_applications_together_leave_room_for_connectors()
    {
        await RestartAsync(Connections);
        var greedy = await NewTokenAsync("greedy");
        (int Status, string Error)? refused = null;
        while (refused is null)
        {
            Assert.InRange(_leaked.Count, 0, Connections - Reserve);
            refused = await LeakAsync(greedy);
        }

        Assert.Equal((503, "ingress/crowded"), refused);
        Assert.Equal(Connections - Reserve, _leaked.Count);
        await _cluster.StartConnectorAsync();
        var registered = await _cluster.StartConnectorAsync(new Dictionary<string, string> { ["TUNNEL_CONNECTOR__Carriers"] = "1" });
        Assert.Equal(0, registered.Count("ConnectorDisconnected"));
    }

    private static void AssertNamesTheLimit(PostgresException refused)
    {
        Assert.Equal("53300", refused.SqlState);
        Assert.Contains("Limits:MaxConnectionsPerToken", refused.MessageText, StringComparison.Ordinal);
    }

    private async Task RestartAsync(int perToken, params string[] arguments)
    {
        await _cluster.Ingress.SignalAsync("KILL");
        await _cluster.Ingress.WaitForExitAsync();
        var config = Path.Combine(_cluster.Directory, "ingress.json");
        await File.WriteAllTextAsync(config, $$"""{ "Limits": { "MaxConnections": {{Connections}}, "MaxConnectionsPerToken": {{perToken}} } }""", Cancelled);
        await _cluster.StartIngressAsync(["--config", config, .. arguments]);
        await _cluster.StartConnectorAsync();
    }

    private async Task<(string Id, string Secret, string File)> NewTokenAsync(string name)
    {
        var file = Path.Combine(_cluster.Directory, $"{name}.token");
        await _cluster.AdminAsync("token", "create", name, "--access", "db", "--access", "raw", "--access", "web", "--output", file);
        var tokens = (await _cluster.AdminAsync("token", "list")).GetArrayLength();
        await _cluster.Ingress.WaitForAsync("StateChanged", seen => int.Parse(seen["Tokens"], System.Globalization.CultureInfo.InvariantCulture) >= tokens);
        var (id, secret) = PostgresPortFixture.TokenOf(file);
        return (id, secret, file);
    }

    /// <summary>Opens a stream and keeps it.</summary>
    /// <returns>Null, or how it was refused.</returns>
    private async Task<(int Status, string Error)?> LeakAsync((string Id, string Secret, string File) token, string service = "raw")
    {
        var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;
        socket.Options.SetRequestHeader("CF-Access-Client-Id", token.Id);
        socket.Options.SetRequestHeader("CF-Access-Client-Secret", token.Secret);
        try
        {
            await socket.ConnectAsync(new Uri($"wss://{TunnelCluster.HostnameOf(service)}:{_cluster.Port}/"), _http, Cancelled).WaitAsync(Patience, Cancelled);
        }
        catch (WebSocketException)
        {
            using (socket)
            {
                return ((int)socket.HttpStatusCode, socket.HttpResponseHeaders?["Tunnel-Error"].Single() ?? "");
            }
        }

        _leaked.Add(socket);
        return null;
    }

    private Task<HttpResponseMessage> GetAsync(string service, (string Id, string Secret, string File) token)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"https://{TunnelCluster.HostnameOf(service)}:{_cluster.Port}/"));
        request.Headers.Add("CF-Access-Client-Id", token.Id);
        request.Headers.Add("CF-Access-Client-Secret", token.Secret);
        return _http.SendAsync(request, Cancelled);
    }

    private async Task<NpgsqlConnection> ConnectToPortAsync((string Id, string Secret, string File) token)
    {
        var password = Path.Combine(_cluster.Directory, "origin.password");
        if (!File.Exists(password))
        {
            await File.WriteAllTextAsync(password, "not asked for\n", Cancelled);
            await _cluster.AdminAsync("pool", "set", "db", "--user", "postgres", "--database", "postgres", "--password-file", password);
            await _cluster.Ingress.WaitForAsync("Administered", static seen => seen["Kind"] == "pool");
        }

        var port = IPEndPoint.Parse((await _cluster.Ingress.WaitForAsync("PostgresListening"))["Address"]).Port;
        var connection = new NpgsqlConnection(
            $"Host=localhost;Port={port};Username={token.Id};Password={token.Secret};Database=db;SSL Mode=VerifyFull;Root Certificate={_cluster.CaFile};Pooling=false;Timeout=60");
        await connection.OpenAsync(Cancelled).WaitAsync(Patience, Cancelled);
        return connection;
    }
}
