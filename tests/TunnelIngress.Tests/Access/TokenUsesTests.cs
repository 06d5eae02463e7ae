using System.Net;
using TunnelIngress.Access;
using TunnelIngress.State;
using TunnelIngress.Tests.State;

namespace TunnelIngress.Tests.Access;

public sealed class TokenUsesTests
{
    private static readonly DateTimeOffset Now = Samples.Now;
    private static readonly IPAddress Address = IPAddress.Parse("192.0.2.7");

    private readonly TokenUses _uses = new();

    [Fact]
    public void The_last_use_of_each_secret_is_told_once()
    {
        var (token, _) = Samples.NewToken(Samples.Access("orders-db"));
        var rotated = token with { Secrets = [token.Secrets[0] with { Version = 2 }, token.Secrets[0]] };
        _uses.Note(token.ClientId, 1, IPAddress.Parse("198.51.100.1"), Now);
        _uses.Note(token.ClientId, 1, Address.MapToIPv6(), Now.AddSeconds(5));
        _uses.Note(token.ClientId, 2, from: null, Now);

        TokenUse[] expected = [new(token.ClientId, 1, Now.AddSeconds(5), "192.0.2.7"), new(token.ClientId, 2, Now, "unix")];
        Assert.Equal(expected, _uses.Unwritten().OrderBy(static use => use.Version));
        Assert.Equal(2, _uses.Unwritten().Count);

        _uses.Written(Samples.Snapshot(rotated));
        Assert.Empty(_uses.Unwritten());
        _uses.Note(token.ClientId, 2, Address, Now.AddSeconds(9));
        Assert.Equal([new TokenUse(token.ClientId, 2, Now.AddSeconds(9), "192.0.2.7")], _uses.Unwritten());
    }

    [Fact]
    public void A_use_while_the_last_one_is_written_is_not_lost()
    {
        var (token, _) = Samples.NewToken(Samples.Access("orders-db"));
        _uses.Note(token.ClientId, 1, Address, Now);
        Assert.Single(_uses.Unwritten());
        _uses.Note(token.ClientId, 1, Address, Now.AddSeconds(2));

        _uses.Written(Samples.Snapshot(token));

        Assert.Equal(Now.AddSeconds(2), Assert.Single(_uses.Unwritten()).At);
    }

    [Fact]
    public void A_clock_that_is_set_back_is_followed()
    {
        _uses.Note("id", 1, Address, Now);
        _uses.Note("id", 1, Address, Now.AddHours(-1));
        Assert.Equal(Now.AddHours(-1), Assert.Single(_uses.Unwritten()).At);
    }

    [Fact]
    public void Secrets_that_are_gone_are_forgotten()
    {
        var (token, _) = Samples.NewToken(Samples.Access("orders-db"));
        _uses.Note(token.ClientId, 1, Address, Now);
        _uses.Note(token.ClientId, 2, Address, Now);
        _uses.Note("removed", 1, Address, Now);
        Assert.Equal(3, _uses.Count);

        _uses.Unwritten();
        _uses.Written(Samples.Snapshot(token));

        Assert.Equal(1, _uses.Count);
    }

    [Fact]
    public void Uses_within_a_second_allocate_nothing()
    {
        // The second use takes a path of its own, and what that needs once is made by whoever comes first in this process.
        _uses.Note("id", 1, Address, Now);
        _uses.Note("id", 1, Address, Now);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 10_000; i++)
        {
            _uses.Note("id", 1, Address, Now.AddMilliseconds(i % 1000));
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
