using System.Collections.Concurrent;
using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Pools;

namespace Shared.Pooling.Tests.Pools;

public sealed class ConnectionPoolTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LongerThanAnyTest = TimeSpan.FromDays(1);

    private readonly FakeTimeProvider _time = new();
    private readonly ConcurrentBag<TestConnection> _opened = [];
    private readonly List<IAsyncDisposable> _pools = [];
    private Exception? _refusal;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var pool in _pools)
        {
            await pool.DisposeAsync();
        }
    }

    [Fact]
    public async Task Who_waits_longest_is_served_first_and_before_the_one_who_gives_back()
    {
        var pool = Start(new PoolOptions { Max = 1 });
        var first = await pool.AcquireAsync(null, Cancelled);
        var waiting = Enumerable.Range(0, 3).Select(_ => pool.AcquireAsync(null, Cancelled).AsTask()).ToArray();

        pool.Return(first);
        var again = pool.AcquireAsync(null, Cancelled).AsTask();

        foreach (var waiter in waiting)
        {
            Assert.False(again.IsCompleted);
            pool.Return(await waiter.WaitAsync(Patience, Cancelled));
        }

        Assert.Same(first, await again);
    }

    [Fact]
    public async Task Idle_connection_is_given_without_allocating_and_the_preferred_one_first()
    {
        var pool = Start(new PoolOptions { Max = 2 });
        var (one, two) = (await pool.AcquireAsync(null, Cancelled), await pool.AcquireAsync(null, Cancelled));
        pool.Return(one);
        pool.Return(two);
        Assert.Same(one, await pool.AcquireAsync(one, Cancelled));
        pool.Return(one);
        var before = GC.GetAllocatedBytesForCurrentThread();

        for (var i = 0; i < 1000; i++)
        {
            pool.Return(await pool.AcquireAsync(two, Cancelled));
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 200);
    }

    [Fact]
    public async Task Wait_ends_in_time_and_loses_no_connection()
    {
        var pool = Start(new PoolOptions { Max = 1, WaitTimeout = TimeSpan.FromSeconds(5) });
        var held = await pool.AcquireAsync(null, Cancelled);
        var late = pool.AcquireAsync(null, Cancelled).AsTask();
        using var cancellation = new CancellationTokenSource();
        var canceled = pool.AcquireAsync(null, cancellation.Token).AsTask();

        await cancellation.CancelAsync();
        _time.Advance(TimeSpan.FromSeconds(6));

        await Assert.ThrowsAsync<PoolTimeoutException>(() => late);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => canceled);
        pool.Return(held);
        Assert.Same(held, await pool.AcquireAsync(null, Cancelled));
    }

    [Fact]
    public async Task Each_wait_has_a_limit_of_its_own_counted_from_its_own_beginning()
    {
        var pool = Start(new PoolOptions { Max = 1, WaitTimeout = TimeSpan.FromSeconds(5) });
        var held = await pool.AcquireAsync(null, Cancelled);
        var first = pool.AcquireAsync(null, Cancelled).AsTask();
        _time.Advance(TimeSpan.FromSeconds(3));
        var second = pool.AcquireAsync(null, Cancelled).AsTask();
        pool.Return(held);
        Assert.Same(held, await first);

        _time.Advance(TimeSpan.FromSeconds(3));
        var third = pool.AcquireAsync(null, Cancelled).AsTask();
        Assert.Equal(2, pool.Counts.Waiting);
        _time.Advance(TimeSpan.FromSeconds(2));
        await Assert.ThrowsAsync<PoolTimeoutException>(() => second);
        Assert.Equal(1, pool.Counts.Waiting);

        pool.Options = new PoolOptions { Max = 1, WaitTimeout = TimeSpan.FromSeconds(1) };
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await Assert.ThrowsAsync<PoolTimeoutException>(() => third);
        Assert.Equal(0, pool.Counts.Waiting);
    }

    [Fact]
    public async Task Waiting_allocates_nothing_and_goes_on_where_the_connection_is_given_back()
    {
        var pool = Start(new PoolOptions { Max = 1 });
        var held = await pool.AcquireAsync(null, Cancelled);
        using var cancellation = new CancellationTokenSource();
        AskAndReturn();

        // A lock that another thread holds may cost something once; what waiting costs comes back each time.
        Assert.Equal(0, Enumerable.Range(0, 5).Min(_ => AskAndReturn()));

        long AskAndReturn()
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 1000; i++)
            {
                var waiting = pool.AcquireAsync(null, cancellation.Token);
                Assert.False(waiting.IsCompleted);
                pool.Return(held);
                Assert.Same(held, waiting.IsCompleted ? waiting.Result : null);
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    [Fact]
    public async Task Waiters_that_return_at_once_what_they_get_do_not_exhaust_the_stack()
    {
        var pool = Start(new PoolOptions { Max = 1, MaxWaiting = 100_000 });
        var held = await pool.AcquireAsync(null, Cancelled);
        var waiting = Enumerable.Range(0, 50_000).Select(_ => UseAsync()).ToArray();

        pool.Return(held);

        await Task.WhenAll(waiting).WaitAsync(TimeSpan.FromMinutes(1), Cancelled);

        async Task UseAsync() => pool.Return(await pool.AcquireAsync(null, Cancelled));
    }

    [Fact]
    public async Task Too_many_waiters_are_refused_at_once()
    {
        var pool = Start(new PoolOptions { Max = 1, MaxWaiting = 1 });
        await pool.AcquireAsync(null, Cancelled);
        var waiting = pool.AcquireAsync(null, Cancelled).AsTask();

        await Assert.ThrowsAsync<PoolTimeoutException>(async () => await pool.AcquireAsync(null, Cancelled));
        Assert.False(waiting.IsCompleted);
    }

    [Fact]
    public async Task Connection_that_may_not_be_reused_is_replaced()
    {
        var pool = Start(new PoolOptions { Max = 1 });
        var dirty = await pool.AcquireAsync(null, Cancelled);
        dirty.Dirt = "it is dirty";

        pool.Return(dirty);

        Assert.NotSame(dirty, await pool.AcquireAsync(null, Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        await dirty.Closed.Task.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Minimum_is_kept_warm_idle_ones_and_old_ones_are_closed()
    {
        var pool = Start(new PoolOptions { Min = 2, Max = 5, IdleTimeout = TimeSpan.FromSeconds(60), Lifetime = TimeSpan.FromSeconds(1000) });
        await UntilAsync(() => pool.Counts.Idle == 2);
        var all = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => pool.AcquireAsync(null, Cancelled).AsTask()));
        foreach (var connection in all)
        {
            pool.Return(connection);
        }

        // The first look may be yet to be scheduled, so one step of time is not enough.
        _time.Advance(TimeSpan.FromSeconds(62));
        await UntilAsync(() => pool.Counts.Idle == 2, TimeSpan.FromSeconds(1));
        var opened = pool.Counts.Opened;
        _time.Advance(TimeSpan.FromSeconds(1200));
        await UntilAsync(() => pool.Counts is { Idle: 2, Opened: var now } && now == opened + 2);
    }

    [Fact]
    public async Task Failed_login_is_told_at_once_and_the_pool_heals()
    {
        _refusal = new IOException("the database is down");
        var pool = Start(new PoolOptions { Max = 2, WaitTimeout = LongerThanAnyTest });

        for (var i = 0; i < 3; i++)
        {
            var waiting = pool.AcquireAsync(null, Cancelled).AsTask();
            await UntilAsync(() => waiting.IsCompleted, TimeSpan.FromSeconds(1));
            Assert.Equal("the database is down", (await Assert.ThrowsAsync<IOException>(() => waiting)).Message);
        }

        _refusal = null;
        var healed = pool.AcquireAsync(null, Cancelled).AsTask();
        await UntilAsync(() => healed.IsCompletedSuccessfully, TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Failure_that_nobody_expects_costs_no_place()
    {
        _refusal = new InvalidOperationException("nobody expects that");
        var pool = Start(new PoolOptions { Max = 1, WaitTimeout = LongerThanAnyTest }, new ConnectionBudget { Limit = 1 });
        var waiting = pool.AcquireAsync(null, Cancelled).AsTask();
        await Assert.ThrowsAsync<InvalidOperationException>(() => waiting.WaitAsync(Patience, Cancelled));

        _refusal = null;
        var healed = pool.AcquireAsync(null, Cancelled).AsTask();
        await UntilAsync(() => healed.IsCompletedSuccessfully, TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Pause_waits_for_all_and_lets_everybody_wait()
    {
        var pool = Start(new PoolOptions { Max = 2 });
        var held = await pool.AcquireAsync(null, Cancelled);
        var paused = pool.PauseAsync();
        var waiting = pool.AcquireAsync(null, Cancelled).AsTask();
        Assert.False(paused.IsCompleted);

        pool.Return(held);
        await paused.WaitAsync(Patience, Cancelled);
        Assert.False(waiting.IsCompleted);

        pool.Resume();
        Assert.Same(held, await waiting.WaitAsync(Patience, Cancelled));
    }

    [Fact]
    public async Task Reconnect_replaces_idle_ones_now_and_others_when_they_come_back()
    {
        var pool = Start(new PoolOptions { Max = 2 });
        var (held, idle) = (await pool.AcquireAsync(null, Cancelled), await pool.AcquireAsync(null, Cancelled));
        pool.Return(idle);

        pool.Reconnect();

        await idle.Closed.Task.WaitAsync(Patience, Cancelled);
        Assert.False(held.Closed.Task.IsCompleted);
        pool.Return(held);
        await held.Closed.Task.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Leaving_connection_is_given_to_nobody_and_closed_when_idle()
    {
        var pool = Start(new PoolOptions { Max = 2 });
        var (held, idle) = (await pool.AcquireAsync(null, Cancelled), await pool.AcquireAsync(null, Cancelled));
        pool.Return(idle);

        (held.IsLeaving, idle.IsLeaving) = (true, true);

        Assert.Null(pool.TryAcquire(idle));
        await idle.Closed.Task.WaitAsync(Patience, Cancelled);
        Assert.False(held.Closed.Task.IsCompleted);
        pool.Return(held);
        await held.Closed.Task.WaitAsync(Patience, Cancelled);
    }

    [Fact]
    public async Task Idle_connection_that_leaves_is_closed_although_nobody_asks()
    {
        var pool = Start(new PoolOptions { Max = 1 });
        var idle = await pool.AcquireAsync(null, Cancelled);
        pool.Return(idle);

        idle.IsLeaving = true;

        await UntilAsync(() => idle.Closed.Task.IsCompleted, TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Reserve_opens_after_a_wait()
    {
        var pool = Start(new PoolOptions { Max = 1, Reserve = 1, ReserveAfter = TimeSpan.FromSeconds(3), WaitTimeout = LongerThanAnyTest });
        await pool.AcquireAsync(null, Cancelled);
        var waiting = pool.AcquireAsync(null, Cancelled).AsTask();
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.False(waiting.IsCompleted);

        await UntilAsync(() => waiting.IsCompletedSuccessfully, TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Common_limit_takes_the_place_of_what_another_pool_does_not_use()
    {
        var budget = new ConnectionBudget { Limit = 2 };
        var (first, second) = (Start(new PoolOptions { Max = 5 }, budget), Start(new PoolOptions { Max = 5, WaitTimeout = LongerThanAnyTest }, budget));
        var (one, two) = (await first.AcquireAsync(null, Cancelled), await first.AcquireAsync(null, Cancelled));
        var waiting = second.AcquireAsync(null, Cancelled).AsTask();
        await UntilAsync(() => first.Counts.Leased == 2);
        Assert.False(waiting.IsCompleted);

        first.Return(one);

        await UntilAsync(() => waiting.IsCompletedSuccessfully, TimeSpan.FromSeconds(1));
        Assert.Equal((0, 1), (first.Counts.Idle, first.Counts.Leased));
        first.Return(two);
    }

    [Fact]
    public async Task Closing_refuses_waiters_and_closes_all()
    {
        var pool = Start(new PoolOptions { Max = 1 });
        await pool.AcquireAsync(null, Cancelled);
        var waiting = pool.AcquireAsync(null, Cancelled).AsTask();

        await pool.DisposeAsync();

        await Assert.ThrowsAsync<PoolClosedException>(() => waiting);
        await Assert.ThrowsAsync<PoolClosedException>(async () => await pool.AcquireAsync(null, Cancelled));
        Assert.All(_opened, static connection => Assert.True(connection.Closed.Task.IsCompleted));
        _pools.Clear();
    }

    [Fact]
    public async Task Under_load_no_connection_has_two_users_and_none_is_lost()
    {
        const int Max = 4;
        var pool = Start(new PoolOptions { Max = Max, WaitTimeout = TimeSpan.FromMinutes(5) });
        await Task.WhenAll(Enumerable.Range(0, 16).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (var i = 0; i < 5000; i++)
            {
                using var cancellation = new CancellationTokenSource();
                var acquiring = pool.AcquireAsync(null, cancellation.Token);
                if (random.Next(10) == 0)
                {
                    await cancellation.CancelAsync();
                }

                TestConnection connection;
                try
                {
                    connection = await acquiring;
                }
                catch (OperationCanceledException)
                {
                    continue;
                }

                Assert.Equal(1, Interlocked.Increment(ref connection.Users));
                if (random.Next(4) == 0)
                {
                    await Task.Yield();
                }

                connection.Dirt = random.Next(50) == 0 ? "dirty" : null;
                Interlocked.Decrement(ref connection.Users);
                pool.Return(connection);
            }
        }))).WaitAsync(TimeSpan.FromMinutes(2), Cancelled);

        await UntilAsync(() => pool.Counts is { Leased: 0, Connecting: 0, Waiting: 0 });
        Assert.InRange(pool.Counts.Idle, 0, Max);
        await UntilAsync(() => _opened.Count(static connection => !connection.Closed.Task.IsCompleted) == pool.Counts.Idle);
    }

    private ConnectionPool<TestConnection> Start(PoolOptions options, ConnectionBudget? budget = null)
    {
        var pool = new ConnectionPool<TestConnection>(ConnectAsync, options, budget, _time);
        _pools.Add(pool);
        return pool;
    }

    private async ValueTask<TestConnection> ConnectAsync(CancellationToken cancellationToken)
    {
        await Task.Yield();
        if (_refusal is not null)
        {
            throw _refusal;
        }

        var connection = new TestConnection();
        _opened.Add(connection);
        return connection;
    }

    // Real threads do the work; the clock moves only as far as a test says.
    private async Task UntilAsync(Func<bool> condition, TimeSpan step = default)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!condition())
        {
            _time.Advance(step);
            await Task.Delay(10, patience.Token);
        }
    }
}
