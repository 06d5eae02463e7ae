using Microsoft.Extensions.Time.Testing;
using Shared.Streams.Multiplexing;

namespace Shared.Streams.Tests.Multiplexing;

public sealed class ReceiveWindowTests
{
    private static readonly TimeSpan RoundTrip = TimeSpan.FromMilliseconds(100);

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Nothing_beyond_the_window_is_taken()
    {
        var window = new ReceiveWindow(_time);

        Assert.True(window.TryReceive(ReceiveWindow.Initial));
        Assert.False(window.TryReceive(1));
    }

    [Fact]
    public void Half_of_the_window_is_granted_again_when_it_is_consumed()
    {
        var window = new ReceiveWindow(_time);
        Assert.True(window.TryReceive(ReceiveWindow.Initial));
        _time.Advance(RoundTrip * 3);

        Assert.Equal(0, window.Consume((ReceiveWindow.Initial / 2) - 1, RoundTrip));
        Assert.Equal(ReceiveWindow.Initial / 2, window.Consume(1, RoundTrip));

        Assert.True(window.TryReceive(ReceiveWindow.Initial / 2));
        Assert.False(window.TryReceive(1));
    }

    [Fact]
    public void Window_that_limits_a_stream_grows_up_to_its_bound()
    {
        var window = new ReceiveWindow(_time);
        var size = ReceiveWindow.Initial;
        for (var outstanding = size; size < ReceiveWindow.Largest; size *= 2)
        {
            Assert.True(window.TryReceive(outstanding));
            var granted = window.Consume(size, RoundTrip);
            Assert.Equal(size * 2, granted);
            outstanding = granted;
        }

        Assert.True(window.TryReceive(size));
        Assert.Equal(size, window.Consume(size, RoundTrip));
    }

    [Fact]
    public void Window_of_a_slow_reader_stays_as_it_is()
    {
        var window = new ReceiveWindow(_time);
        for (var i = 0; i < 10; i++)
        {
            Assert.True(window.TryReceive(ReceiveWindow.Initial / 2));
            _time.Advance(RoundTrip * 2);
            Assert.Equal(ReceiveWindow.Initial / 2, window.Consume(ReceiveWindow.Initial / 2, RoundTrip));
        }
    }
}
