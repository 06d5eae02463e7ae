using Shared.Streams.Dialing;
using TunnelIngress.Configuration;
using TunnelIngress.Streams;

namespace TunnelIngress.Tests.Streams;

public sealed class StreamGateTests
{
    private readonly StreamGate _gate = new(new LimitOptions { MaxStreams = 3, MaxStreamsPerToken = 2 });

    [Fact]
    public void What_travels_in_a_stream_takes_no_room_of_all()
    {
        using var first = _gate.Admit("public page", countsInAll: false);
        using var second = _gate.Admit("public page", countsInAll: false);
        Assert.Equal("limited", Assert.Throws<DialException>(() => _gate.Admit("public page", countsInAll: false)).Code);

        using var one = _gate.Admit(null);
        using var two = _gate.Admit(null);
        using var three = _gate.Admit(null);
        Assert.Equal("limited", Assert.Throws<DialException>(() => _gate.Admit(null)).Code);
    }

    [Fact]
    public void What_has_ended_makes_room_where_it_was_counted()
    {
        for (var i = 0; i < 10; i++)
        {
            _gate.Admit("one").Dispose();
            _gate.Admit("one", countsInAll: false).Dispose();
        }

        using var first = _gate.Admit("one");
        using var second = _gate.Admit("one");
        Assert.Equal("limited", Assert.Throws<DialException>(() => _gate.Admit("one")).Code);
        using var third = _gate.Admit("two");
        Assert.Equal("limited", Assert.Throws<DialException>(() => _gate.Admit("two")).Code);
    }

    [Fact]
    public void Gate_that_drains_admits_nothing()
    {
        _gate.Drain();

        Assert.Equal("draining", Assert.Throws<DialException>(() => _gate.Admit("one", countsInAll: false)).Code);
    }
}
