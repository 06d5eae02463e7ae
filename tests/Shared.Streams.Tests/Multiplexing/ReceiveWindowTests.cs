using Microsoft.Extensions.Time.Testing;
using Shared.Streams.Multiplexing;

namespace Shared.Streams.Tests.Multiplexing;

public sealed class ReceiveWindowTests
{
    private static readonly TimeSpan RoundTrip = TimeSpan.FromMilliseconds(100);

    private readonly FakeTimeProvider _time = new();
    private readonly WindowBudget _budget = new();

    [Fact]
    public void Nothing_beyond_the_window_is_taken()
    {
        var window = new ReceiveWindow(_time, _budget);

        Assert.True(window.TryReceive(ReceiveWindow.Initial));
        Assert.False(window.TryReceive(1));
    }

    [Fact]
    public void Half_of_the_window_is_granted_again_when_it_is_consumed()
    {
        var window = new ReceiveWindow(_time, _budget);
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
        var window = new ReceiveWindow(_time, _budget);
        var granted = Grow(window);
        Assert.Equal(ReceiveWindow.Largest - ReceiveWindow.Initial, granted);

        Assert.True(window.TryReceive(ReceiveWindow.Largest));
        Assert.Equal(ReceiveWindow.Largest, window.Consume(ReceiveWindow.Largest, RoundTrip));
    }

    [Fact]
    public void Window_of_a_reader_who_lets_bytes_wait_stays_as_it_is()
    {
        var window = new ReceiveWindow(_time, _budget);
        Assert.True(window.TryReceive(ReceiveWindow.Initial));
        for (var i = 0; i < 10; i++)
        {
            // In bursts that take no time, but always with half of the window waiting.
            Assert.Equal(ReceiveWindow.Initial / 2, window.Consume(ReceiveWindow.Initial / 2, RoundTrip));
            Assert.True(window.TryReceive(ReceiveWindow.Initial / 2));
        }
    }

    [Fact]
    public void Grown_window_shrinks_when_bytes_wait_and_gives_its_share_back()
    {
        var window = new ReceiveWindow(_time, _budget);
        Grow(window);
        Assert.True(window.TryReceive(ReceiveWindow.Largest));

        const int Step = 16 * 1024;
        for (var consumed = 0; consumed < ReceiveWindow.Largest * 4; consumed += Step)
        {
            Assert.True(window.TryReceive(window.Consume(Step, RoundTrip)));
        }

        Assert.True(_budget.TryTake(WindowBudget.Size));
    }

    [Fact]
    public void Windows_share_what_they_may_grow_by()
    {
        var windows = Enumerable.Range(0, 20).Select(_ => new ReceiveWindow(_time, _budget)).ToArray();
        Assert.InRange(windows.Sum(Grow), WindowBudget.Size / 2, WindowBudget.Size);
        var late = new ReceiveWindow(_time, _budget);
        Assert.Equal(0, Grow(late));

        Array.ForEach(windows, static window => window.Close());

        Assert.Equal(ReceiveWindow.Largest - ReceiveWindow.Initial, Grow(late));
    }

    [Fact]
    public void Window_of_a_slow_reader_stays_as_it_is()
    {
        var window = new ReceiveWindow(_time, _budget);
        for (var i = 0; i < 10; i++)
        {
            Assert.True(window.TryReceive(ReceiveWindow.Initial / 2));
            _time.Advance(RoundTrip * 3);
            Assert.Equal(ReceiveWindow.Initial / 2, window.Consume(ReceiveWindow.Initial / 2, RoundTrip));
        }
    }

    [Theory]
    [InlineData(1, ReceiveWindow.LargestNear)]
    [InlineData(3, ReceiveWindow.Initial)]
    public void Window_of_a_peer_that_is_near_grows_a_little_where_both_ends_wait_for_their_turns(int milliseconds, int largest)
    {
        var window = new ReceiveWindow(_time, _budget);
        var size = ReceiveWindow.Initial;
        for (var i = 0; i < 10; i++)
        {
            Assert.True(window.TryReceive(size));
            _time.Advance(TimeSpan.FromMilliseconds(milliseconds));
            size = window.Consume(size, TimeSpan.FromMicroseconds(100));
        }

        Assert.Equal(largest, size);
    }

    /// <summary>Uses a window up as quickly as it is granted, until it grows no more; how much it has grown by.</summary>
    private static int Grow(ReceiveWindow window)
    {
        var (size, grown) = (ReceiveWindow.Initial, 0);
        while (true)
        {
            Assert.True(window.TryReceive(size));
            var more = window.Consume(size, RoundTrip) - size;
            if (more == 0)
            {
                return grown;
            }

            grown += more;
            size += more;
        }
    }
}
