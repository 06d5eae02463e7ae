using Microsoft.Extensions.Time.Testing;
using Shared.Hosting.Logging;

namespace Shared.Hosting.Tests;

public sealed class LineLimitTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly List<long> _leftOut = [];
    private readonly LineLimit _lines;

    public LineLimitTests() => _lines = new LineLimit(10, TimeSpan.FromSeconds(1), _time, _leftOut.Add);

    [Fact]
    public void So_many_lines_are_written_in_each_interval_and_the_others_are_told()
    {
        Assert.Equal(10, Enumerable.Range(0, 1000).Count(_ => _lines.MayWrite()));
        Assert.Empty(_leftOut);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal([990], _leftOut);
        Assert.Equal(10, Enumerable.Range(0, 15).Count(_ => _lines.MayWrite()));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal([990, 5], _leftOut);
    }

    [Fact]
    public void Nothing_is_told_when_nothing_was_left_out()
    {
        Assert.True(_lines.MayWrite());
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Empty(_leftOut);
    }
}
