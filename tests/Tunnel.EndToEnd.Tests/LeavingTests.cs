using System.Net;
using System.Text.Json;
using Npgsql;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>
/// Whatever shuts down is left by those who keep connections for later, and waits for those who are busy. Each test has a cluster of its own.
/// </summary>
public sealed class LeavingTests(ClusterFixture fixture) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private TunnelCluster _cluster = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _cluster = await TunnelCluster.StartAsync(
        new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}" }, "--local", "db=127.0.0.1:0", "--postgres", "127.0.0.1:0");

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    [Fact]
    public async Task Connector_that_drains_is_left_by_a_pooler_elsewhere()
    {
        var leaving = await _cluster.StartConnectorAsync();
        var (_, address) = await _cluster.StartPoolerAsync("db");
        await using var client = await ConnectAsync(address);
        await DatabaseClient.AssertAnswersAsync(client);
        await _cluster.StartConnectorAsync();

        await leaving.SignalAsync("TERM");

        Assert.Equal(0, await leaving.WaitForExitAsync(Patience));
        Assert.Equal(0, leaving.Count("DrainCut"));
        await DatabaseClient.AssertAnswersAsync(client);
    }

    [Fact]
    public async Task Transaction_that_runs_at_a_connector_that_drains_ends_there_and_the_next_begins_elsewhere()
    {
        var leaving = await _cluster.StartConnectorAsync();
        var (_, address) = await _cluster.StartPoolerAsync("db");
        await using var client = await ConnectAsync(address);
        var transaction = await client.BeginTransactionAsync(Cancelled);
        var before = await BackendAsync(client);
        await _cluster.StartConnectorAsync();

        await leaving.SignalAsync("TERM");
        await _cluster.Ingress.WaitForAsync("ConnectorDraining");
        await Task.Delay(TimeSpan.FromSeconds(3), Cancelled);

        Assert.Equal(before, await BackendAsync(client));
        await transaction.CommitAsync(Cancelled);
        Assert.NotEqual(before, await BackendAsync(client));
        Assert.Equal(0, await leaving.WaitForExitAsync(Patience));
        Assert.Equal(0, leaving.Count("DrainCut"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Connector_that_drains_is_told_only_to_those_who_understand_it(bool understands)
    {
        var connector = await _cluster.StartConnectorAsync();
        var (id, secret) = await CarrierClient.ReadTokenAsync(_cluster.ApplicationToken);
        await using var carrier = await CarrierClient.DialAsync(_cluster);
        var hello = new AccessHostname(id, secret, TunnelCluster.HostnameOf("db"), understands ? ["what nobody knows", "leaving"] : null);
        Assert.IsType<Joined>(await CarrierClient.AskAsync(carrier, hello));
        var multiplexer = new Multiplexer(carrier, TimeProvider.System);
        var running = multiplexer.RunAsync();
        var (stream, _) = await multiplexer.OpenAsync(new Open("", hello.Hostname), early: null, Cancelled).WaitAsync(Patience, Cancelled);

        await connector.SignalAsync("TERM");
        await _cluster.Ingress.WaitForAsync("ConnectorDraining");
        await stream.WriteAsync(new byte[] { 0, 0, 0, 8, 4, 210, 22, 47 }, Cancelled);

        // The database's answer to a request for TLS, behind what there was to tell.
        Assert.Equal(1, await stream.ReadAsync(new byte[16], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        Assert.Equal(understands, stream.IsLeaving);
        await stream.DisposeAsync();
        multiplexer.Drain();
        await running.WaitAsync(Patience, Cancelled);
        Assert.Equal(0, await connector.WaitForExitAsync(Patience));
        Assert.Equal(0, connector.Count("DrainCut"));
    }

    [Fact]
    public async Task Ingress_that_drains_is_left_by_a_pooler_elsewhere()
    {
        await _cluster.StartConnectorAsync();
        var (_, address) = await _cluster.StartPoolerAsync("db");
        await using var client = await ConnectAsync(address);
        await DatabaseClient.AssertAnswersAsync(client);

        await _cluster.Ingress.SignalAsync("TERM");

        Assert.Equal(0, await _cluster.Ingress.WaitForExitAsync(Patience));
        Assert.Equal(0, _cluster.Ingress.Count("DrainCut"));
        await _cluster.StartIngressAsync();
        await _cluster.Ingress.WaitForAsync("ConnectorOnline");
        await DatabaseClient.AssertAnswersAsync(client);
    }

    [Fact]
    public async Task Ingress_that_drains_lets_its_own_pools_finish_and_nobody_else_begin()
    {
        await _cluster.StartConnectorAsync();
        var (_, forwarder) = await _cluster.StartForwarderAsync("db");
        await using var client = await ConnectToPortAsync();
        await using var slow = new NpgsqlCommand("select pg_sleep(2)", client);

        await _cluster.Ingress.SignalAsync("TERM");
        await _cluster.Ingress.WaitForAsync("Draining");

        var refused = await Assert.ThrowsAsync<PostgresException>(() => DatabaseClient.ConnectAsync(forwarder[0]));
        Assert.Contains("shutting down", refused.MessageText, StringComparison.Ordinal);
        using var http = new HttpClient();
        using var ready = await http.GetAsync(new Uri(_cluster.Management, "/readyz"), Cancelled);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);

        // The pool needs a connection for this that it does not have yet, since nobody has asked anything.
        await slow.ExecuteNonQueryAsync(Cancelled);
        await client.CloseAsync();
        Assert.Equal(0, await _cluster.Ingress.WaitForExitAsync(Patience));
        Assert.Equal(1, _cluster.Ingress.Count("ConnectorOnline"));
        Assert.Equal(0, _cluster.Ingress.Count("DrainCut"));
    }

    [Fact]
    public async Task Stream_that_is_being_opened_when_a_forwarder_is_stopped_has_its_grace_time_too()
    {
        var connector = await _cluster.StartConnectorAsync();
        var (forwarder, addresses) = await _cluster.StartForwarderAsync("db");

        await AssertIsOpenedAsync(connector, IPEndPoint.Parse(addresses[0]), forwarder);
    }

    [Fact]
    public async Task Stream_that_is_being_opened_when_an_ingress_is_stopped_has_its_grace_time_too()
    {
        var connector = await _cluster.StartConnectorAsync();

        await AssertIsOpenedAsync(connector, await _cluster.LocalListenerAsync("db"), _cluster.Ingress);
    }

    private async Task AssertIsOpenedAsync(ProgramProcess connector, IPEndPoint address, ProgramProcess stopped)
    {
        await DatabaseClient.AssertWorksAsync(address);
        using var http = new HttpClient();
        await UntilStreamsAsync(http, 0);

        // It answers later, but soon enough not to be taken for dead.
        await connector.SignalAsync("STOP");
        var opening = DatabaseClient.ConnectAsync(address);
        await UntilStreamsAsync(http, 1);
        await stopped.SignalAsync("TERM");
        await stopped.WaitForAsync("Draining");
        await Task.Delay(TimeSpan.FromMilliseconds(500), Cancelled);
        Assert.False(opening.IsCompleted);
        await connector.SignalAsync("CONT");

        await using (var client = await opening.WaitAsync(Patience, Cancelled))
        {
            await DatabaseClient.AssertAnswersAsync(client);
        }

        Assert.Equal(0, await stopped.WaitForExitAsync(Patience));
        Assert.Equal(0, stopped.Count("DrainCut"));
    }

    /// <summary>Waits until so many streams run at the connector or are being opened there.</summary>
    private async Task UntilStreamsAsync(HttpClient http, int streams)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(Patience);
        while (true)
        {
            using var shown = JsonDocument.Parse(await http.GetStringAsync(new Uri(_cluster.Management, "/connectors"), limit.Token));
            if (Assert.Single(shown.RootElement.EnumerateArray()).GetProperty("streams").GetInt32() == streams)
            {
                return;
            }

            await Task.Delay(20, limit.Token);
        }
    }

    private static async Task<int> BackendAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("select pg_backend_pid()", connection);
        return (int)(await command.ExecuteScalarAsync(Cancelled))!;
    }

    private static async Task<NpgsqlConnection> ConnectAsync(IPEndPoint pooler) => await OpenAsync(
        $"Host={pooler.Address};Port={pooler.Port};Username={TunnelCluster.PoolerUser};Password={TunnelCluster.PoolerPassword};Database=postgres;SSL Mode=Disable");

    private async Task<NpgsqlConnection> ConnectToPortAsync()
    {
        var password = Path.Combine(_cluster.Directory, "origin.password");
        await File.WriteAllTextAsync(password, "not asked for\n", Cancelled);
        await _cluster.AdminAsync("pool", "set", "db", "--user", "postgres", "--database", "postgres", "--password-file", password);
        await _cluster.Ingress.WaitForAsync("StateChanged");
        var port = IPEndPoint.Parse((await _cluster.Ingress.WaitForAsync("PostgresListening"))["Address"]).Port;
        var (id, secret) = PostgresPortFixture.TokenOf(_cluster.ApplicationToken);
        return await OpenAsync(
            $"Host=localhost;Port={port};Username={id};Password={secret};Database=db;SSL Mode=VerifyFull;Root Certificate={_cluster.CaFile}");
    }

    private static async Task<NpgsqlConnection> OpenAsync(string options)
    {
        var connection = new NpgsqlConnection($"{options};Pooling=false;GSS Encryption Mode=Disable;Timeout=60;No Reset On Close=true");
        await connection.OpenAsync(Cancelled).WaitAsync(Patience, Cancelled);
        return connection;
    }
}
