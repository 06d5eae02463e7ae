using System.Collections.Concurrent;
using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Sessions;
using Shared.Pooling.Tests.Postgres;
using Shared.Streams;
using Shared.Streams.Dialing;
using static Shared.Pooling.Tests.Hostile.ScriptedServer;

namespace Shared.Pooling.Tests.Hostile;

/// <summary>Requests to cancel, in any number and with any delay, cost the database little and never hit another's query.</summary>
public sealed class CancelTests(PoolFixture fixture)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly FakeTimeProvider _time = new();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Many_requests_for_one_query_are_one()
    {
        var origin = new SlowOrigin();
        await using var pooler = Start(origin.Options, max: 1);
        await using var client = await WireClient.ConnectTrustedAsync(pooler);
        await client.SendAsync(Ask.Query("select 1"));
        await origin.AskedAsync(1);

        var cancels = Enumerable.Range(0, 100).Select(_ => CancelAsync(pooler, client)).ToArray();
        await UntilAsync(() => origin.Cancels == 1);
        origin.TakeCancels();
        await Task.WhenAll(cancels);

        Assert.Equal(1, origin.Cancels);
        await CancelAsync(pooler, client);
        Assert.Equal(2, origin.Cancels);
    }

    [Fact]
    public async Task Requests_for_many_queries_take_turns()
    {
        var origin = new SlowOrigin();
        await using var pooler = Start(origin.Options, max: 20);
        var clients = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => WireClient.ConnectTrustedAsync(pooler)));
        foreach (var client in clients)
        {
            await client.SendAsync(Ask.Query("select 1"));
        }

        await origin.AskedAsync(20);
        var cancels = clients.Select(client => CancelAsync(pooler, client)).ToArray();
        await UntilAsync(() => origin.Cancels == CancelRequests.MostAtOnce);
        await Task.Delay(300, Cancelled);
        Assert.Equal(CancelRequests.MostAtOnce, origin.Cancels);
        origin.TakeCancels();
        await Task.WhenAll(cancels);

        Assert.Equal(20, origin.Cancels);
        foreach (var client in clients)
        {
            client.Abort();
            await client.DisposeAsync();
        }
    }

    [Fact]
    public async Task Request_whose_query_is_over_when_its_turn_comes_is_not_sent()
    {
        var origin = new SlowOrigin();
        var held = CancelRequests.MostAtOnce;
        await using var pooler = Start(origin.Options, max: held + 1, mode: PoolMode.Session);
        var clients = await Task.WhenAll(Enumerable.Range(0, held + 1).Select(_ => WireClient.ConnectTrustedAsync(pooler)));
        for (var i = 0; i <= held; i++)
        {
            await clients[i].SendAsync(Ask.Query("select 1"));
            await origin.AskedAsync(i + 1);
        }

        var cancels = clients[..held].Select(client => CancelAsync(pooler, client)).ToArray();
        await UntilAsync(() => origin.Cancels == held);
        var last = CancelAsync(pooler, clients[held]);

        // The query is over before the request for it has had its turn, and the next one runs.
        origin.Answer();
        await clients[held].ReadUntilAsync(static line => line[0] == 'Z');
        await clients[held].SendAsync(Ask.Query(SlowOrigin.Endless));
        await origin.AskedAsync(held + 2);
        origin.TakeCancels();
        await Task.WhenAll([.. cancels, last]);

        Assert.Equal(held, origin.Cancels);
        foreach (var client in clients)
        {
            client.Abort();
            await client.DisposeAsync();
        }
    }

    [Theory]
    [InlineData(PoolMode.Transaction, true)]
    [InlineData(PoolMode.Transaction, false)]
    [InlineData(PoolMode.Session, true)]
    [InlineData(PoolMode.Session, false)]
    public async Task Request_that_may_still_arrive_hits_nobody_else(PoolMode mode, bool answeredFirst)
    {
        var events = new PoolEvents();
        var origin = new SlowOrigin();
        await using var pooler = Start(origin.Options, max: 1, events, mode);
        await using (var client = await WireClient.ConnectTrustedAsync(pooler))
        {
            await client.SendAsync(Ask.Query("select 1"));
            await origin.AskedAsync(1);
            var cancel = CancelAsync(pooler, client);
            await UntilAsync(() => origin.Cancels == 1);
            if (!answeredFirst)
            {
                await _time.PassUntilAsync(cancel);
            }

            origin.Answer();

            // Its own client notices nothing.
            Assert.Contains("D 1", await client.ReadUntilAsync(static line => line[0] == 'Z'));
            await _time.PassUntilAsync(cancel);
            if (mode == PoolMode.Transaction)
            {
                Assert.NotEqual("1", await client.ScalarAsync("select 1"));
            }
        }

        await using var next = await WireClient.ConnectTrustedAsync(pooler);
        Assert.NotEqual("1", await next.ScalarAsync("select 1"));
        Assert.Contains("it is not known", Assert.Single(events.CancelsFailed), StringComparison.Ordinal);
        Assert.Contains("a request to cancel may still arrive", events.Closed);
    }

    [Fact]
    public async Task Request_that_was_not_sent_costs_no_connection()
    {
        var events = new PoolEvents();
        var origin = new SlowOrigin();
        await using var pooler = Start(origin.Options, max: 1, events);
        await using var client = await WireClient.ConnectTrustedAsync(pooler);
        await client.SendAsync(Ask.Query("select 1"));
        await origin.AskedAsync(1);
        origin.IsAway = true;

        await CancelAsync(pooler, client);
        origin.Answer();

        await client.ReadUntilAsync(static line => line[0] == 'Z');
        Assert.Equal("1", await client.ScalarAsync("select 1"));
        Assert.Single(events.CancelsFailed);
        Assert.Empty(events.Closed);
    }

    private PostgresPooler Start(OriginOptions origin, int max, PoolEvents? events = null, PoolMode mode = PoolMode.Transaction) =>
        fixture.StartPooler(max, mode, new PostgresPoolOptions { CancelTimeout = TimeSpan.FromSeconds(1) }, events, origin, time: _time);

    private static Task CancelAsync(PostgresPooler pooler, WireClient of) => WireClient.CancelAsync(pooler, of.ProcessId, of.CancelKey);

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!condition())
        {
            await Task.Delay(5, patience.Token);
        }
    }

    /// <summary>A server whose queries, and whose requests to cancel, take until a test says otherwise.</summary>
    private sealed class SlowOrigin : IDialer
    {
        /// <summary>A second query that is never answered.</summary>
        public const string Endless = "endless";

        private readonly ScriptedOrigin _script;
        private readonly ConcurrentBag<int> _asked = [];
        private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _taken = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _cancels;

        public SlowOrigin() => _script = new ScriptedOrigin(ServeAsync);

        public OriginOptions Options => _script.Options with { Dialer = this };

        /// <summary>How many requests to cancel have come.</summary>
        public int Cancels => Volatile.Read(ref _cancels);

        /// <summary>True when nobody can connect any more.</summary>
        public bool IsAway { get; set; }

        public void Answer() => _answered.TrySetResult();

        public void TakeCancels() => _taken.TrySetResult();

        /// <summary>Waits until so many queries have come.</summary>
        public Task AskedAsync(int count) => UntilAsync(() => _asked.Count >= count);

        public ValueTask<DuplexStream> DialAsync(CancellationToken cancellationToken) =>
            IsAway ? throw new DialException(Hop.Connect, "refused", "Nobody is there.") : _script.DialAsync(cancellationToken);

        private async Task ServeAsync(ScriptedServer server, int number)
        {
            if (!await server.LetInAsync())
            {
                Interlocked.Increment(ref _cancels);
                await _taken.Task;
                return;
            }

            while (await server.ReadAsync() is { Type: 'Q', Body: var query })
            {
                _asked.Add(number);
                await (query.AsSpan().StartsWith("endless"u8) ? Task.Delay(Timeout.Infinite, Cancelled) : _answered.Task);
                await server.SendAsync(Message('T', [0, 1, .. "n\0"u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0]), Row($"{number}"), Complete(), Ready());
            }
        }
    }
}
