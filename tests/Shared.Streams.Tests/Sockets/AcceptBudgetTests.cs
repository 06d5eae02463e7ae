using System.Net;
using Shared.Streams.Sockets;

namespace Shared.Streams.Tests.Sockets;

public sealed class AcceptBudgetTests
{
    private const int Connections = 8;
    private const int PerAddress = 3;
    private const int PerHolder = 4;

    private readonly List<AcceptRefusal> _refused = [];
    private readonly List<int> _closed = [];
    private readonly AcceptBudget _budget;
    private int _taken;

    public AcceptBudgetTests() => _budget = new AcceptBudget(Connections, PerAddress, (refusal, _, _) => _refused.Add(refusal)) { PerHolder = PerHolder };

    [Fact]
    public void Oldest_newcomer_makes_room_when_all_places_are_taken()
    {
        var places = TakeAll();
        Assert.True(places[0].TrySettle());
        places[1].Recognize();

        Assert.NotNull(Take());

        Assert.Equal([2], _closed);
        Assert.Equal([AcceptRefusal.Full], _refused);
        Assert.Equal(Connections, _budget.Count);
        Assert.False(places[2].TrySettle());
        places[2].Dispose();
        Assert.Equal(Connections, _budget.Count);
    }

    [Fact]
    public void Without_a_newcomer_the_next_one_is_refused_until_somebody_leaves()
    {
        var places = TakeAll();
        Array.ForEach(places, static place => place.Recognize());

        Assert.Null(Take());
        Assert.Empty(_closed);
        Assert.Equal([AcceptRefusal.Full], _refused);
        places[3].Dispose();
        places[3].Dispose();
        Assert.Equal(Connections - 1, _budget.Count);
        Assert.NotNull(Take());
    }

    [Fact]
    public void Strangers_leave_a_quarter_to_others()
    {
        var places = TakeAll();

        Assert.Equal(6, places.Count(static place => place.TrySettle()));
        Assert.True(places[0].TrySettle());
        Assert.Equal([AcceptRefusal.Strangers, AcceptRefusal.Strangers], _refused);
        places[0].Recognize();
        Assert.True(places[7].TrySettle());
        Assert.False(places[6].TrySettle());
        places[7].Dispose();
        Assert.True(places[6].TrySettle());
    }

    [Fact]
    public void One_holder_has_its_share_and_gets_no_more_by_coming_again()
    {
        var places = TakeAll();

        Assert.Equal(PerHolder, places.Count(static place => place.Recognize("app") is null));
        Assert.Null(places[0].Recognize("app"));
        Assert.Equal(AcceptRefusal.Holder, places[7].Recognize("app"));
        Assert.Equal(5, _refused.Count(static refusal => refusal == AcceptRefusal.Holder));
        Assert.Null(places[7].Recognize("other"));

        // Whoever was refused is a newcomer still, and the next one to make room; whoever is held is none.
        Assert.NotNull(Take());
        Assert.Equal([4], _closed);
        places[0].Dispose();
        Assert.Null(places[5].Recognize("app"));
    }

    [Fact]
    public void Connection_counts_for_whom_it_has_shown_last()
    {
        var places = TakeAll();
        Assert.All(places[..PerHolder], static place => Assert.Null(place.Recognize("app")));
        Assert.Null(places[4].Recognize("other"));

        Assert.Equal(AcceptRefusal.Holder, places[4].Recognize("app"));
        Assert.Null(places[0].Recognize("other"));
        Assert.Null(places[4].Recognize("app"));
        places[4].Recognize();
        Assert.Null(places[4].Recognize("other"));
        Assert.Null(places[5].Recognize("app"));
        Assert.Equal(AcceptRefusal.Holder, places[6].Recognize("app"));
    }

    [Fact]
    public void Strangers_and_holders_leave_an_eighth_to_those_who_are_counted_elsewhere()
    {
        var places = TakeAll();
        Assert.All(places[..4], static place => Assert.True(place.TrySettle()));
        Assert.All(places[4..7], static place => Assert.Null(place.Recognize("app")));

        Assert.Equal(AcceptRefusal.Callers, places[7].Recognize("other"));
        Assert.False(places[7].TrySettle());
        places[7].Recognize();
        Assert.Null(Take());

        // Who is among them already may become the other.
        Assert.Null(places[0].Recognize("other"));
        places[1].Dispose();
        Assert.Null(Take()!.Recognize("other"));
    }

    [Fact]
    public void Without_a_number_a_holder_gets_no_more_than_is_left_for_others()
    {
        var budget = new AcceptBudget(connections: 64, perAddress: 64, (refusal, _, _) => _refused.Add(refusal));

        Assert.Equal(28, TakeAllFor("first"));
        Assert.Equal(14, TakeAllFor("second"));
        Assert.Equal(7, TakeAllFor("third"));
        Assert.Equal([AcceptRefusal.Holder, AcceptRefusal.Holder, AcceptRefusal.Holder], _refused);
        Assert.Equal(4, TakeAllFor("fourth"));

        int TakeAllFor(string holder)
        {
            var count = 0;
            while (budget.TryTake(address: null, static () => { })!.Recognize(holder) is null)
            {
                count++;
            }

            return count;
        }
    }

    [Fact]
    public void Strangers_at_their_limit_leave_something_to_each_holder()
    {
        var budget = new AcceptBudget(connections: 64, perAddress: 64, (refusal, _, _) => _refused.Add(refusal));
        var places = Enumerable.Range(0, 64).Select(_ => budget.TryTake(address: null, static () => { })!).ToArray();
        Assert.Equal(budget.Strangers, places.Count(static place => place.TrySettle()));
        var newcomers = places[budget.Strangers..];

        Assert.Equal(4, newcomers.Count(static place => place.Recognize("leaky") is null));
        Assert.Null(newcomers[4].Recognize("other"));

        // Whoever shows a token on a connection that counts already takes nothing from others.
        Assert.Null(places[0].Recognize("another"));
    }

    [Fact]
    public void Whoever_had_to_make_room_is_held_by_nobody()
    {
        var places = TakeAll();
        Assert.NotNull(Take());

        Assert.Equal(AcceptRefusal.Full, places[0].Recognize("app"));
        Assert.Equal(PerHolder, places[1..].Count(static place => place.Recognize("app") is null));
    }

    [Fact]
    public void One_address_has_its_share_and_whoever_is_recognized_does_not_count()
    {
        var places = Enumerable.Range(0, PerAddress).Select(_ => Take("192.0.2.1")!).ToArray();
        Assert.Null(Take("192.0.2.1"));
        Assert.Null(Take("::ffff:192.0.2.1"));
        Assert.NotNull(Take("192.0.2.2"));
        Assert.Equal([AcceptRefusal.Address, AcceptRefusal.Address], _refused);

        Assert.True(places[0].TrySettle());
        Assert.Null(Take("192.0.2.1"));
        places[0].Recognize();
        Assert.NotNull(Take("192.0.2.1"));
        places[1].Dispose();
        Assert.NotNull(Take("192.0.2.1"));
    }

    [Fact]
    public void One_subscriber_of_IPv6_is_one_address()
    {
        for (var host = 1; host <= PerAddress; host++)
        {
            Assert.NotNull(Take($"2001:db8:0:1::{host}"));
        }

        Assert.Null(Take("2001:db8:0:1:ffff::1"));
        Assert.NotNull(Take("2001:db8:0:2::1"));
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("127.0.0.2")]
    [InlineData("::1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData(null)]
    public void This_host_s_own_are_not_counted_by_address(string? address)
    {
        Assert.All(Enumerable.Range(0, Connections), _ => Assert.NotNull(Take(address)));
    }

    [Fact]
    public void Connection_that_was_handed_over_is_closed_by_its_new_owner()
    {
        var places = TakeAll();
        var closedByOwner = 0;
        Assert.True(places[0].TryHandOver(() => closedByOwner++));

        Assert.NotNull(Take());

        Assert.Equal(1, closedByOwner);
        Assert.Empty(_closed);
        Assert.False(places[0].TryHandOver(static () => { }));
    }

    [Fact]
    public async Task Place_tells_when_it_is_free_again()
    {
        var place = Take()!;
        Assert.False(place.Left.IsCompleted);
        place.Dispose();
        await place.Left.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData(700, 188)]
    [InlineData(300, 64)]
    [InlineData(131_072, 130_560)]
    public void Descriptors_are_left_for_everything_else(int descriptors, int connections)
    {
        Assert.Equal(connections, DescriptorLimit.ConnectionsWithin(descriptors));
    }

    private AcceptPlace[] TakeAll() => [.. Enumerable.Range(0, Connections).Select(_ => Take()!)];

    private AcceptPlace? Take(string? address = null)
    {
        var number = _taken++;
        return _budget.TryTake(address is null ? null : IPAddress.Parse(address), () => _closed.Add(number));
    }
}
