using Shared.Streams.Dialing;
using TunnelIngress.Connectors;
using TunnelIngress.Tests.State;

namespace TunnelIngress.Tests.Connectors;

public sealed class ConnectorSessionTests
{
    private readonly ConnectorSession _session = new("id", "vpc", "replica", name: null, Samples.Accepted, "here", DateTimeOffset.UnixEpoch, control: null!);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Waiter_that_has_given_up_leaves_nothing_behind_and_the_next_gets_the_channel()
    {
        using var impatience = new CancellationTokenSource();
        var impatient = Enumerable.Range(0, 100).Select(_ => _session.TakeAsync(impatience.Token).AsTask()).ToArray();
        var patient = _session.TakeAsync(Cancelled).AsTask();
        Assert.Equal(101, await _session.WaitForDemandAsync(Cancelled));

        await impatience.CancelAsync();

        Assert.All(await Task.WhenAll(impatient.Select(static waiter => waiter.ContinueWith(static ended => ended.IsCanceled, TaskScheduler.Default))), Assert.True);
        Assert.Equal(1, _session.Waiting);
        var channel = Channel();
        Assert.True(_session.TryPark(channel));
        Assert.Same(channel, await patient);
        Assert.Equal((0, 0), (_session.Waiting, _session.Parked));
    }

    [Fact]
    public async Task Whoever_has_given_up_already_does_not_wait()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _session.TakeAsync(new CancellationToken(canceled: true)).AsTask());

        Assert.Equal(0, _session.Waiting);
        Assert.True(_session.TryPark(Channel()));
        Assert.Equal(1, _session.Parked);
    }

    [Fact]
    public async Task Channel_or_cancellation_is_for_each_waiter_one_of_the_two()
    {
        for (var i = 0; i < 2000; i++)
        {
            using var impatience = new CancellationTokenSource();
            var waiting = _session.TakeAsync(impatience.Token).AsTask();
            var channel = Channel();
            await Task.WhenAll(Task.Run(impatience.Cancel, Cancelled), Task.Run(() => _session.TryPark(channel), Cancelled));
            var taken = await waiting.ContinueWith(static ended => ended.IsCompletedSuccessfully, Cancelled, TaskContinuationOptions.None, TaskScheduler.Default);

            Assert.Equal((0, taken ? 0 : 1), (_session.Waiting, _session.Parked));
            if (!taken)
            {
                Assert.Same(channel, await _session.TakeAsync(Cancelled));
            }
        }
    }

    [Fact]
    public async Task Waiters_of_a_session_that_ends_go_elsewhere()
    {
        var waiting = _session.TakeAsync(Cancelled).AsTask();

        _session.Close();

        Assert.Equal("offline", (await Assert.ThrowsAsync<DialException>(() => waiting)).Code);
        Assert.Equal(0, _session.Waiting);
    }

    [Fact]
    public void Session_that_has_said_goodbye_can_still_be_withdrawn_but_not_the_other_way_round()
    {
        _session.Drain();
        _session.Withdraw();
        Assert.Equal(SessionState.Withdrawn, _session.State);

        _session.Drain();
        Assert.Equal(SessionState.Withdrawn, _session.State);
        Assert.False(_session.IsActive);
    }

    [Fact]
    public void Only_what_a_service_can_be_called_is_announced()
    {
        _session.Announce(["orders-db", "users-db", "Orders", "a, orders-db", "\e[2J", "-", new string('a', 64)]);

        Assert.Equal(["orders-db", "users-db"], _session.Services.Order(StringComparer.Ordinal));
        Assert.Equal(["Orders", "a, orders-db", "\e[2J", "-", new string('a', 64)], _session.Misnamed);
    }

    private static ParkedChannel Channel() => new(channel: null!);
}
