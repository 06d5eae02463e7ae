using Microsoft.Extensions.Time.Testing;
using TunnelConnector.Ingress;

namespace TunnelConnector.Tests.Ingress;

public sealed class BackoffTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void First_retry_comes_within_half_a_second_and_the_bound_doubles_to_twenty()
    {
        var backoff = new Backoff(_time, new Always(1));

        var delays = Enumerable.Range(0, 12).Select(_ => backoff.Next().TotalSeconds).ToArray();

        Assert.Equal([0.5, 1, 2, 4, 8, 16, 20, 20, 20, 20, 20, 20], delays);
    }

    [Fact]
    public void Waits_are_spread_over_the_whole_time_up_to_the_bound()
    {
        var waits = Enumerable.Range(0, 4000).Select(_ => new Backoff(_time, Random.Shared).Next() / Backoff.First).ToArray();

        for (var tenth = 0; tenth < 10; tenth++)
        {
            Assert.InRange(waits.Count(wait => (int)(wait * 10) == tenth), 250, 550);
        }
    }

    [Fact]
    public void Starts_over_after_a_healthy_minute_only()
    {
        var backoff = new Backoff(_time, new Always(1));
        for (var i = 0; i < 5; i++)
        {
            backoff.Next();
        }

        backoff.Connected();
        _time.Advance(Backoff.Healthy - TimeSpan.FromSeconds(1));
        Assert.Equal(TimeSpan.FromSeconds(16), backoff.Next());

        backoff.Connected();
        _time.Advance(Backoff.Healthy);
        Assert.Equal(Backoff.First, backoff.Next());
    }

    private sealed class Always(double value) : Random
    {
        public override double NextDouble() => value;
    }
}
