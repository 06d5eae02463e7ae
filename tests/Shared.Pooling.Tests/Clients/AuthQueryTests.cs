using System.Globalization;
using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Sessions;
using Shared.Pooling.Tests.Postgres;

namespace Shared.Pooling.Tests.Clients;

/// <summary>Users of the database are looked up one after the other, and nobody can make the others wait for long.</summary>
public sealed class AuthQueryTests(PoolFixture fixture)
{
    // Every name is a user's; those that begin with "slow" take their time.
    private const string Query = "select $1::text, 'md5' || md5($1) from pg_sleep(case when $1 like 'slow%' then 600 else 0 end)";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    // Time does not pass: what is known stays known, and no lookup is given up.
    private readonly FakeTimeProvider _time = new();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_address_takes_its_share_of_the_queue_only()
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        await using var users = new AuthQuery(fixture.Origin, Query, _time);
        var waiting = Enumerable.Range(0, LookupQueue.MostOfOneAddress)
            .Select(number => users.FindAsync($"slow{number}", $"192.0.2.1:{1024 + number}", enough.Token).AsTask()).ToArray();

        var refused = await Assert.ThrowsAsync<HandshakeRefusedException>(async () => await users.FindAsync("another", "192.0.2.1:9", Cancelled));
        var along = users.FindAsync("slow1", "192.0.2.1:9", enough.Token).AsTask();
        var other = users.FindAsync("other", "192.0.2.2:9", Cancelled).AsTask();
        await enough.CancelAsync();

        Assert.Equal("53300", refused.Error.Code);
        Assert.DoesNotContain(fixture.Server.SocketPath, refused.Message, StringComparison.Ordinal);
        Assert.NotNull(await other.WaitAsync(Patience, Cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => along);
        foreach (var ended in waiting)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ended);
        }

        Assert.NotNull(await users.FindAsync("another", "192.0.2.1:9", Cancelled));
    }

    [Fact]
    public async Task Who_finds_the_queue_full_is_told_so_at_once()
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        await using var users = new AuthQuery(fixture.Origin, Query, _time);
        await using var pooler = new PostgresPooler(
            PoolFixture.Configuration(new PoolDefinition(fixture.Origin, new PostgresPoolOptions()), new Directory(users)), new PoolEvents(), TimeProvider.System);
        var waiting = Enumerable.Range(0, LookupQueue.MostUsers)
            .Select(number => users.FindAsync($"slow{number}", $"192.0.2.{number / LookupQueue.MostOfOneAddress}:9", enough.Token).AsTask()).ToArray();

        var refusal = await Assert.ThrowsAsync<InvalidOperationException>(() => WireClient.ConnectAsAsync(pooler, "another", "x", "postgres"));
        await enough.CancelAsync();

        Assert.StartsWith("E FATAL 53300 sorry, too many users are being looked up", refusal.Message, StringComparison.Ordinal);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(waiting));
    }

    [Fact]
    public async Task Many_logins_of_one_user_are_one_query()
    {
        await fixture.ScalarAsync("create sequence lookups");
        await using var users = new AuthQuery(fixture.Origin, "select $1::text, 'md5' || lpad(nextval('lookups')::text, 32, '0') from pg_sleep(0.2)", _time);

        var found = await Task.WhenAll(Enumerable.Range(0, 500).Select(_ => users.FindAsync("app", "192.0.2.1:9", Cancelled).AsTask()));

        Assert.Single(found.Distinct());
        Assert.Equal("1", await fixture.ScalarAsync("select last_value from lookups"));
    }

    [Fact]
    public async Task Answer_that_nobody_waited_for_is_not_the_next_users()
    {
        await using var users = new AuthQuery(fixture.Origin, Query, _time);
        await users.FindAsync("first", "192.0.2.1:9", Cancelled);
        using var impatient = new CancellationTokenSource(TimeSpan.FromMilliseconds(100));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await users.FindAsync("slow", "192.0.2.1:9", impatient.Token));

        var second = users.FindAsync("second", "192.0.2.1:9", Cancelled).AsTask();
        Assert.NotNull(await second.WaitAsync(Patience, Cancelled));
    }

    [Fact]
    public async Task Login_under_a_configuration_that_was_just_replaced_is_answered_and_leaves_nothing_open()
    {
        var origin = fixture.Origin with { User = "looks_up" };
        await fixture.ScalarAsync("create role looks_up login");
        var users = new AuthQuery(origin, Query, TimeProvider.System);
        await users.FindAsync("first", "192.0.2.1:9", Cancelled);
        await users.DisposeAsync();

        Assert.NotNull(await users.FindAsync("second", "192.0.2.1:9", Cancelled));

        while (await fixture.ScalarAsync("select count(*) from pg_stat_activity where usename = 'looks_up'") != "0")
        {
            await Task.Delay(20, Cancelled);
        }
    }

    [Theory]
    [InlineData("192.0.2.1:{0}", "[::ffff:192.0.2.1]:9", "192.0.2.2:9")]
    [InlineData("[2001:db8:0:1::{0}]:9", "[2001:db8:0:1:ffff::]:10", "[2001:db8:0:2::1]:9")]
    public void Address_is_the_same_from_every_port_and_within_a_subscribers_network(string remote, string same, string other)
    {
        var queue = new LookupQueue();
        var places = Enumerable.Range(1, LookupQueue.MostOfOneAddress)
            .Select(number => queue.TryEnter($"{number}", string.Format(CultureInfo.InvariantCulture, remote, number))!).ToArray();

        Assert.Null(queue.TryEnter("one more", same));
        Assert.NotNull(queue.TryEnter("one more", other));
        places[0].Dispose();
        Assert.NotNull(queue.TryEnter("another one", same));
    }

    [Theory]
    [InlineData("127.0.0.1:9")]
    [InlineData("[::1]:9")]
    [InlineData("unix:/run/pooler")]
    public void Proxy_on_this_host_stands_for_many(string remote)
    {
        var queue = new LookupQueue();

        Assert.All(Enumerable.Range(1, LookupQueue.MostUsers), number => Assert.NotNull(queue.TryEnter($"{number}", remote)));
        Assert.Null(queue.TryEnter("one more", remote));
    }

    private sealed class Directory(AuthQuery users) : IClientDirectory
    {
        public async ValueTask<ClientAdmission> FindAsync(ClientRequest request, CancellationToken cancellationToken) =>
            new(request.Database, request.Database, await users.FindAsync(request.User, request.Remote, cancellationToken));
    }
}
