using System.Net;

namespace Tunnel.EndToEnd.Tests;

/// <summary>Who may connect to a pooler, and as whom it then logs in to the database.</summary>
public sealed class PoolerUsersTests(PoolerUsersFixture fixture) : IClassFixture<PoolerUsersFixture>
{
    private static readonly string[] Listen = ["127.0.0.1:0"];

    [Theory]
    [InlineData("alice", "of alice")]
    [InlineData("bob", "of bob")]
    [InlineData("carl", "of carl")]
    public async Task Users_of_the_database_log_in_there_as_themselves(string user, string password)
    {
        var address = await StartPerUserAsync(nameof(Users_of_the_database_log_in_there_as_themselves) + user);

        var result = await PoolerUsersFixture.PsqlAsync(address, user, password, "postgres", "select current_user, session_user");

        Assert.Equal($"{user}|{user}\n", result.EnsureSuccess().Output);
    }

    [Theory]
    [InlineData("alice", "of bob")]
    [InlineData("nobody", "of alice")]
    [InlineData("nologin", "of nobody")]
    [InlineData("late", "too late")]
    [InlineData("postgres", "")]
    public async Task Others_do_not(string user, string password)
    {
        var address = await StartPerUserAsync(nameof(Others_do_not) + user);

        var result = await PoolerUsersFixture.PsqlAsync(address, user, password.Length > 0 ? password : "any", "postgres", "select 1");

        Assert.Contains($"password authentication failed for user \"{user}\"", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task New_password_takes_effect_and_the_old_one_ends()
    {
        (await fixture.Postgres.RunAsync("psql", "-qc", "create role dora login password 'first'")).EnsureSuccess();
        var address = await StartPerUserAsync(nameof(New_password_takes_effect_and_the_old_one_ends));
        (await PoolerUsersFixture.PsqlAsync(address, "dora", "first", "postgres", "select 1")).EnsureSuccess();

        (await fixture.Postgres.RunAsync("psql", "-qc", "alter role dora password 'second'")).EnsureSuccess();

        await PostgresPortFixture.UntilAsync(async () => (await PoolerUsersFixture.PsqlAsync(address, "dora", "second", "postgres", "select 1")).ExitCode == 0);
        Assert.Equal(2, (await PoolerUsersFixture.PsqlAsync(address, "dora", "first", "postgres", "select 1")).ExitCode);
    }

    [Fact]
    public async Task Query_that_fails_is_told_and_lets_nobody_in()
    {
        var file = await fixture.ConfigureAsync(nameof(Query_that_fails_is_told_and_lets_nobody_in), new
        {
            Listen,
            Pools = new Dictionary<string, object> { ["postgres"] = fixture.Pool(("AuthQuery", new { User = "postgres", Query = "select no_such_function($1)" })) },
        });
        var (_, address) = await fixture.StartAsync(file);

        var result = await PoolerUsersFixture.PsqlAsync(address, "alice", "of alice", "postgres", "select 1");

        Assert.Contains("the users cannot be looked up", result.Error, StringComparison.Ordinal);
        Assert.Contains("no_such_function", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Users_of_the_configuration_can_log_in_as_themselves_too()
    {
        var file = await fixture.ConfigureAsync(nameof(Users_of_the_configuration_can_log_in_as_themselves_too), new
        {
            Listen,
            Users = new Dictionary<string, object> { ["alice"] = new { Password = "of alice" }, ["bob"] = new { Password = "not that of the database" } },
            Pools = new Dictionary<string, object> { ["postgres"] = fixture.Pool() },
        });
        var (_, address) = await fixture.StartAsync(file);

        Assert.Equal("alice\n", (await PoolerUsersFixture.PsqlAsync(address, "alice", "of alice", "postgres", "select current_user")).EnsureSuccess().Output);
        var bob = await PoolerUsersFixture.PsqlAsync(address, "bob", "not that of the database", "postgres", "select 1");
        Assert.Contains("the database refuses user \"bob\"", bob.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_pool_can_serve_every_database_of_a_server()
    {
        var file = await fixture.ConfigureAsync(nameof(One_pool_can_serve_every_database_of_a_server), new
        {
            Listen,
            Users = new Dictionary<string, object> { ["app"] = new { Password = "x" } },
            Pools = new Dictionary<string, object>
            {
                ["*"] = fixture.Pool(("User", "postgres")),
                ["elsewhere"] = fixture.Pool(("User", "postgres"), ("Database", "postgres")),
            },
        });
        var (_, address) = await fixture.StartAsync(file);

        foreach (var (asked, given) in new[] { ("orders", "orders"), ("postgres", "postgres"), ("elsewhere", "postgres") })
        {
            Assert.Equal($"{given}\n", (await PoolerUsersFixture.PsqlAsync(address, "app", "x", asked, "select current_database()")).EnsureSuccess().Output);
        }

        var absent = await PoolerUsersFixture.PsqlAsync(address, "app", "x", "absent", "select 1");
        Assert.Contains("has no database \"absent\"", absent.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pool_may_be_for_some_users_only()
    {
        var file = await fixture.ConfigureAsync(nameof(Pool_may_be_for_some_users_only), new
        {
            Listen,
            Users = new Dictionary<string, object> { ["app"] = new { Password = "x" }, ["guest"] = new { Password = "y" } },
            Pools = new Dictionary<string, object> { ["postgres"] = fixture.Pool(("User", "postgres"), ("AllowUsers", new List<string> { "app" })) },
        });
        var (_, address) = await fixture.StartAsync(file);

        (await PoolerUsersFixture.PsqlAsync(address, "app", "x", "postgres", "select 1")).EnsureSuccess();
        Assert.Contains("may not use pool", (await PoolerUsersFixture.PsqlAsync(address, "guest", "y", "postgres", "select 1")).Error, StringComparison.Ordinal);
        Assert.Contains("password authentication failed", (await PoolerUsersFixture.PsqlAsync(address, "guest", "x", "postgres", "select 1")).Error, StringComparison.Ordinal);
    }

    private async Task<IPEndPoint> StartPerUserAsync(string name)
    {
        var file = await fixture.ConfigureAsync(name, new
        {
            Listen,
            Pools = new Dictionary<string, object> { ["postgres"] = fixture.Pool(("AuthQuery", new { User = "postgres" })) },
        });
        return (await fixture.StartAsync(file)).Address;
    }
}
