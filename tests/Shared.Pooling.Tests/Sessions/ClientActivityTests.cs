using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Postgres.Sessions;

namespace Shared.Pooling.Tests.Sessions;

public sealed class ClientActivityTests
{
    [Fact]
    public void Age_is_not_moved_by_who_sets_the_clock()
    {
        var time = new JumpingTime();
        var activity = new ClientActivity(time);

        time.Jump = TimeSpan.FromHours(-1);
        time.Advance(TimeSpan.FromSeconds(5));

        Assert.Equal(TimeSpan.FromSeconds(5), activity.Age);
    }

    private sealed class JumpingTime : FakeTimeProvider
    {
        public TimeSpan Jump { get; set; }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Jump;

        public override long GetTimestamp() => base.GetUtcNow().Ticks;
    }
}
