using TunnelIngress.Streams;
using TunnelIngress.Tests.State;

namespace TunnelIngress.Tests.Streams;

public sealed class ExpiryClockTests
{
    private readonly JumpingTime _time = new(Samples.Now);
    private readonly RecordingLogger<ExpiryClock> _log = new();
    private readonly ExpiryClock _clock;

    public ExpiryClockTests()
    {
        _clock = new ExpiryClock(_time, _log);
    }

    [Theory]
    [InlineData(3600)]
    [InlineData(-3600)]
    public void Jump_is_believed_after_a_minute_and_told_once(int seconds)
    {
        _time.Jump = TimeSpan.FromSeconds(seconds);

        Assert.Equal(Samples.Now.AddSeconds(59), LookFor(59));
        Assert.Contains($"jumped by {seconds} s", Assert.Single(_log.Entries).Message, StringComparison.Ordinal);
        Assert.Equal(Samples.Now.AddSeconds(62 + seconds), LookFor(3));
        Assert.Equal(Samples.Now.AddSeconds(162 + seconds), LookFor(100));
        Assert.Single(_log.Entries);
    }

    [Fact]
    public void Jump_that_is_undone_is_forgotten_and_the_next_has_its_own_minute()
    {
        _time.Jump = TimeSpan.FromHours(1);
        LookFor(40);
        _time.Jump = TimeSpan.Zero;
        Assert.Equal(Samples.Now.AddSeconds(80), LookFor(40));

        _time.Jump = TimeSpan.FromHours(1);

        Assert.Equal(Samples.Now.AddSeconds(120), LookFor(40));
        Assert.Equal(2, _log.Count("ClockJumped"));
    }

    [Fact]
    public void Clock_that_is_set_a_little_is_followed()
    {
        for (var i = 1; i <= 10; i++)
        {
            _time.Jump += TimeSpan.FromSeconds(4);
            Assert.Equal(Samples.Now.AddSeconds(5 * i), LookFor(1));
        }

        Assert.Empty(_log.Entries);
    }

    private DateTimeOffset LookFor(int seconds)
    {
        DateTimeOffset now = default;
        for (var i = 0; i < seconds; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            now = _clock.Look();
        }

        return now;
    }
}
