using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Sessions;
using Shared.Pooling.Tests.Postgres;

namespace Shared.Pooling.Tests.Hostile;

/// <summary>Settings and departures of one client that could harm the next one on its connection.</summary>
public sealed class SettingsTests(PoolFixture fixture)
{
    [Theory]
    [InlineData("app.select", "1")]
    [InlineData("app.all", "1")]
    [InlineData("seed", "0.5")]
    [InlineData("transaction_isolation", "serializable")]
    [InlineData("transaction_read_only", "on")]
    [InlineData("transaction_deferrable", "on")]
    public async Task Setting_with_a_difficult_name_does_not_end_the_next_client(string name, string value)
    {
        var events = new PoolEvents();
        await using var pooler = fixture.StartPooler(max: 1, events: events);
        await using (var atLogin = await WireClient.ConnectTrustedAsync(pooler, (name, value), ("application_name", "first")))
        {
            Assert.Equal("1", await atLogin.ScalarAsync("select 1"));
            await using var next = await WireClient.ConnectTrustedAsync(pooler);
            Assert.Equal("1", await next.ScalarAsync("select 1"));
        }

        await using var client = await WireClient.ConnectTrustedAsync(pooler, ("application_name", "second"));
        var quoted = string.Join('.', name.Split('.').Select(static part => $"\"{part}\""));
        Assert.Equal(["C SET", "Z I"], await client.QueryAsync($"set {quoted} to '{value}'"));
        await using var other = await WireClient.ConnectTrustedAsync(pooler);
        Assert.Equal("1", await other.ScalarAsync("select 1"));
        Assert.Equal("1", await client.ScalarAsync("select 1"));
        Assert.Empty(events.Closed);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Client_that_leaves_during_its_login_keeps_no_connection(bool answers)
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var left = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var origin = new ScriptedOrigin(async (server, number) =>
        {
            if (await server.LetInAsync())
            {
                if (number == 1)
                {
                    await server.ReadAsync();
                    asked.SetResult();
                    await left.Task;
                    await (answers ? server.SendAsync(ScriptedServer.Complete(), ScriptedServer.Ready()).AsTask() : server.WaitAsync());
                }

                await server.ServeAsync(number);
            }
        });
        var time = new FakeTimeProvider();
        await using var pooler = fixture.StartPooler(
            max: 1, PoolMode.Session, origin: origin.Options, handshake: new HandshakeOptions { LoginTimeout = TimeSpan.FromSeconds(1) }, time: time);
        await using (var client = WireClient.Open(pooler, trusted: true))
        {
            // With a setting that the server has to be asked for.
            await client.SendAsync(Startup.Message("app", "postgres", ("app.x", "1")));
            await asked.Task.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
            client.Abort();
            left.SetResult();
            await time.PassUntilAsync(client.ServedAsync());
        }

        await using var next = await WireClient.ConnectTrustedAsync(pooler, ("app.x", "2"));
        Assert.Contains("C SELECT 1", await next.QueryAsync("select 1"));
    }

    [Fact]
    public async Task Large_statement_whose_beginning_comes_alone_is_passed_on()
    {
        await using var pooler = fixture.StartPooler(max: 1, options: new PostgresPoolOptions { MaxStatementLength = 100 });
        await using var client = await WireClient.ConnectTrustedAsync(pooler);
        var query = Ask.Query($"select length('{new string('x', 1000)}')");

        await client.SendAsync(query[..10]);
        await client.SendAsync(query[10..]);

        Assert.Contains("D 1000", await client.ReadUntilAsync(static line => line[0] is 'Z' or 'c'));
    }

    [Fact]
    public async Task Answer_whose_last_message_comes_in_two_pieces_arrives()
    {
        var origin = new ScriptedOrigin(static async (server, number) =>
        {
            if (await server.LetInAsync())
            {
                await server.ReadAsync();
                var ready = ScriptedServer.Ready();
                await server.SendAsync(ScriptedServer.Complete(), ready[..5]);
                await Task.Delay(200);
                await server.SendAsync(ready[5..]);
                await server.WaitAsync();
            }
        });
        await using var pooler = fixture.StartPooler(max: 1, origin: origin.Options);
        await using var client = await WireClient.ConnectTrustedAsync(pooler);

        Assert.Equal(["C SELECT 1", "Z I"], await client.QueryAsync("select 1"));
    }
}
