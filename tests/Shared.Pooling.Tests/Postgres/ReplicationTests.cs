using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Sessions;
using Shared.Pooling.Tests.Hostile;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>Clients that replicate, and those that only name the parameter.</summary>
public sealed class ReplicationTests(PoolFixture fixture)
{
    private static readonly TimeSpan LittleTime = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan MuchTime = TimeSpan.FromSeconds(3);

    public static TheoryData<string> Values =>
    [
        "", "t", "TRUE", "tr", "true ", "y", "Yes", "1", "on", "ON", "f", "fa", "False", "falsely", "n", "NO", "0", "of", "off", "o", "2", "database", "Database", "ｆ",
    ];

    [Theory]
    [MemberData(nameof(Values))]
    public async Task Every_value_means_what_it_means_to_PostgreSQL(string value)
    {
        await using var pooler = fixture.StartPooler(max: 1, PoolMode.Session);

        var direct = await MeaningAsync(() => WireClient.ConnectDirectlyAsync(fixture, ("replication", value)));
        var pooled = await MeaningAsync(() => WireClient.ConnectTrustedAsync(pooler, ("replication", value)));

        Assert.Equal(direct, pooled);
    }

    [Theory]
    [InlineData("f")]
    [InlineData("OFF")]
    public async Task Who_does_not_replicate_shares_connections_as_anybody(string value)
    {
        var events = new PoolEvents();
        await using var pooler = fixture.StartPooler(max: 1, PoolMode.Session, events: events);
        await using var console = await WireClient.ConnectAsAsync(pooler, "app", PoolFixture.Password, "pooler");
        await using (var first = await WireClient.ConnectTrustedAsync(pooler, ("replication", value)))
        {
            await first.QueryAsync("select 1");
            Assert.Equal("idle", Assert.Single(await Bystander.TableAsync(console, "show clients"))["state"]);
        }

        await using var second = await WireClient.ConnectTrustedAsync(pooler, ("replication", value));
        await second.QueryAsync("select 1");

        Assert.Equal(1, events.Opened);
        Assert.Equal(1, pooler.EndClients(static (_, _) => true, "enough"));
        Assert.Equal("E FATAL 57P01 enough", await second.ReadAsync());
    }

    [Theory]
    [InlineData("end")]
    [InlineData("kill postgres")]
    [InlineData("kill client")]
    [InlineData("remove")]
    public async Task Replication_is_cut_like_any_client(string how)
    {
        var events = new PoolEvents();
        await using var pooler = fixture.StartPooler(max: 1, PoolMode.Session, events: events);
        await using var console = await WireClient.ConnectAsAsync(pooler, "app", PoolFixture.Password, "pooler");
        await using var client = await StartAsync(pooler);
        var shown = Assert.Single(await Bystander.TableAsync(console, "show clients"));
        Assert.Equal(("replicating", $"{client.ProcessId}"), (shown["state"], shown["id"]));
        await UntilAsync(async () => await fixture.ScalarAsync($"select state from pg_stat_replication where pid = {shown["server_pid"]}") == "streaming");
        Assert.Equal((1, 1, 1), (pooler.ClientCount, pooler.Status.Single().Replications, pooler.Status.Single().ClientsActive));

        switch (how)
        {
            case "end":
                Assert.Equal(1, pooler.EndClients(static (user, pool) => (user, pool) == ("app", "postgres"), "access was withdrawn"));
                break;
            case "remove":
                pooler.Apply(PoolFixture.Configuration(new PoolDefinition(fixture.Origin, new PostgresPoolOptions())) with { Pools = new Dictionary<string, PoolDefinition>() });
                break;
            default:
                Assert.Equal("C KILL", (await console.QueryAsync(how == "kill client" ? $"{how} {client.ProcessId}" : how))[0]);
                break;
        }

        await client.ReadUntilAsync(static line => line is "closed" or "aborted");
        await client.ServedAsync();
        Assert.Equal(0, pooler.ClientCount);
        Assert.Single(events.Ended);
        await UntilAsync(async () => await fixture.ScalarAsync($"select count(*) from pg_stat_activity where pid = {shown["server_pid"]}") == "0");
    }

    [Fact]
    public async Task Nobody_is_left_in_a_pool_that_is_closed()
    {
        var pooler = fixture.StartPooler(max: 1, PoolMode.Session);
        await using var client = await StartAsync(pooler);

        await pooler.DisposeAsync();

        await client.ReadUntilAsync(static line => line is "closed" or "aborted");
        await client.ServedAsync();
    }

    [Fact]
    public async Task Replication_counts_where_connections_are_limited()
    {
        var definition = new PoolDefinition(fixture.Origin, new PostgresPoolOptions
        {
            Mode = PoolMode.Session,
            Connections = new() { Max = 2, WaitTimeout = TimeSpan.FromSeconds(30) },
        });
        var time = new FakeTimeProvider();
        await using var pooler = new PostgresPooler(
            PoolFixture.Configuration(definition) with { MaxConnections = 1, Handshake = new HandshakeOptions { LoginTimeout = TimeSpan.FromHours(1) } }, new PoolEvents(), time);
        await using (var ordinary = await WireClient.ConnectTrustedAsync(pooler))
        {
            await ordinary.QueryAsync("select 1");
            Assert.Contains("53300 all pools together", await time.PassUntilAsync(RefusalAsync(pooler), MuchTime), StringComparison.Ordinal);
        }

        // The place of a connection that nobody uses is good for it.
        await using (await time.PassUntilAsync(WireClient.ConnectTrustedAsync(pooler, ("replication", "database")), LittleTime))
        {
            await using var waiting = await WireClient.ConnectTrustedAsync(pooler);
            Assert.StartsWith("E ERROR 53300 no connection", (await time.PassUntilAsync(waiting.QueryAsync("select 1"), MuchTime))[0], StringComparison.Ordinal);
        }

        await using var next = await WireClient.ConnectTrustedAsync(pooler);
        await UntilAsync(async () => await next.ScalarAsync("select 1") == "1");
    }

    [Fact]
    public async Task Replication_has_its_limit_and_gives_its_place_back()
    {
        await using var pooler = fixture.StartPooler(max: 1, PoolMode.Session);
        for (var round = 0; round < 3; round++)
        {
            await using var client = await WireClient.ConnectTrustedAsync(pooler, ("replication", "1"));
            Assert.Contains("53300 the pool has its limit of replication connections", await RefusalAsync(pooler), StringComparison.Ordinal);
            await UntilAsync(() => Task.FromResult(pooler.ClientCount == 1));
            client.Abort();
            await client.ServedAsync();
        }
    }

    [Fact]
    public async Task Pool_that_refuses_statements_refuses_replication()
    {
        await using var pooler = fixture.StartPooler(max: 1, PoolMode.Session, new PostgresPoolOptions { Refuse = Pins.Listen });

        Assert.Contains("0A000 pool \"postgres\" refuses statements (Listen)", await RefusalAsync(pooler), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("USER", "reader", "user")]
    [InlineData("options", "-c user=reader", "user")]
    [InlineData("options", "--DataBase=template1", "database")]
    [InlineData("REPLICATION", "false", "replication")]
    public async Task Nobody_becomes_another_user_on_the_way(string name, string value, string told)
    {
        await using var pooler = fixture.StartPooler(max: 1, PoolMode.Session);

        var refusal = await Assert.ThrowsAsync<InvalidOperationException>(() => WireClient.ConnectTrustedAsync(pooler, ("replication", "database"), (name, value)));

        Assert.Equal($"E FATAL 42704 unrecognized configuration parameter \"{told}\"", refusal.Message);
    }

    private static async Task<WireClient> StartAsync(PostgresPooler pooler)
    {
        var client = await WireClient.ConnectTrustedAsync(pooler, ("replication", "yes"));
        var position = (await client.QueryAsync("IDENTIFY_SYSTEM"))[1].Split(',')[2];
        await client.SendAsync(Ask.Query($"START_REPLICATION PHYSICAL {position}"));
        Assert.StartsWith("W", await client.ReadAsync(), StringComparison.Ordinal);
        return client;
    }

    private static async Task<string> RefusalAsync(PostgresPooler pooler) =>
        (await Assert.ThrowsAsync<InvalidOperationException>(() => WireClient.ConnectTrustedAsync(pooler, ("replication", "database")))).Message;

    /// <returns>How the login was refused; or what commands that only some connections know are answered with.</returns>
    private static async Task<string> MeaningAsync(Func<Task<WireClient>> connect)
    {
        try
        {
            await using var client = await connect();
            var system = (await client.QueryAsync("IDENTIFY_SYSTEM"))[0];
            return $"{system} | {string.Join(" | ", await client.QueryAsync("select 1"))}";
        }
        catch (InvalidOperationException refusal)
        {
            return refusal.Message;
        }
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!await condition())
        {
            await Task.Delay(20, patience.Token);
        }
    }
}
