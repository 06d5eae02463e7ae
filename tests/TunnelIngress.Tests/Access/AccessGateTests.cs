using TunnelIngress.Access;
using TunnelIngress.State;
using TunnelIngress.Tests.State;

namespace TunnelIngress.Tests.Access;

public sealed class AccessGateTests
{
    private static readonly DateTimeOffset Now = Samples.Now;

    [Fact]
    public void The_right_secret_is_accepted()
    {
        var (token, held) = Samples.NewToken(Samples.Access("orders-db"));
        Assert.Same(token, AccessGate.Authenticate(held.ClientId, held.ClientSecret, Samples.Snapshot(token), Now, out var denial)?.Token);
        Assert.Equal(Denial.None, denial);
    }

    [Fact]
    public void Everything_else_is_denied_with_its_own_cause_for_the_log()
    {
        var (token, held) = Samples.NewToken(Samples.Access("orders-db"), Now.AddDays(1));
        var state = Samples.Snapshot(token);
        var revoked = Samples.Snapshot(token with { RevokedAt = Now });

        Assert.Equal(Denial.Unknown, Deny("0123", held.ClientSecret, state));
        Assert.Equal(Denial.Unknown, Deny(held.ClientId.ToUpperInvariant(), held.ClientSecret, state));
        Assert.Equal(Denial.WrongSecret, Deny(held.ClientId, held.ClientSecret + "x", state));
        Assert.Equal(Denial.WrongSecret, Deny(held.ClientId, held.ClientSecret[..^1], state));
        Assert.Equal(Denial.Malformed, Deny("", held.ClientSecret, state));
        Assert.Equal(Denial.Malformed, Deny(held.ClientId, "", state));
        Assert.Equal(Denial.Malformed, Deny(held.ClientId, new string('x', 1_000_000), state));
        Assert.Equal(Denial.Malformed, Deny(new string('x', 1_000_000), held.ClientSecret, state));
        Assert.Equal(Denial.WrongSecret, Deny(held.ClientId, new string('\u20ac', 128), state));
        Assert.Equal(Denial.Revoked, Deny(held.ClientId, held.ClientSecret, revoked));
        Assert.Equal(Denial.Expired, Deny(held.ClientId, held.ClientSecret, state, Now.AddDays(1)));
        Assert.Equal(Denial.Unknown, Deny(held.ClientId, held.ClientSecret, StateSnapshot.Empty));
    }

    [Fact]
    public void A_wrong_secret_of_a_dead_token_does_not_tell_that_it_is_dead()
    {
        var (token, held) = Samples.NewToken(Samples.Access("orders-db"));
        Assert.Equal(Denial.WrongSecret, Deny(held.ClientId, "guess", Samples.Snapshot(token with { RevokedAt = Now })));
    }

    [Fact]
    public void A_hash_is_no_secret()
    {
        var (token, held) = Samples.NewToken(Samples.Access("orders-db"));
        var hash = Convert.ToHexStringLower(token.Secrets[0].Hash.AsSpan());
        Assert.Equal(Denial.WrongSecret, Deny(held.ClientId, hash, Samples.Snapshot(token)));
    }

    [Fact]
    public void During_an_overlap_both_secrets_work_and_after_it_the_new_one_only()
    {
        var (token, held) = Samples.NewToken(Samples.Access("orders-db"));
        var fresh = ClientSecret.NewSecret();
        var rotated = token with
        {
            Secrets = [new TokenSecret(2, ClientSecret.Hash(fresh), null), token.Secrets[0] with { ValidUntil = Now.AddHours(24) }],
        };
        var state = Samples.Snapshot(rotated);

        Assert.Equal(Denial.None, Deny(held.ClientId, held.ClientSecret, state, Now.AddHours(24).AddTicks(-1)));
        Assert.Equal(Denial.None, Deny(held.ClientId, fresh, state));
        Assert.Equal(Denial.WrongSecret, Deny(held.ClientId, held.ClientSecret, state, Now.AddHours(24)));
        Assert.Equal(Denial.None, Deny(held.ClientId, fresh, state, Now.AddHours(24)));
        Assert.True(rotated.IsUsableAt(Now.AddYears(1)));
    }

    [Fact]
    public void A_scope_allows_what_it_names_and_nothing_else()
    {
        var connect = Samples.Connect("vpc");
        var access = Samples.Access("orders-db");
        Assert.True(connect.MayConnect("vpc"));
        Assert.False(connect.MayConnect("vp"));
        Assert.False(connect.MayAccess("vpc"));
        Assert.False(connect.MayAccess("orders-db"));
        Assert.True(access.MayAccess("orders-db"));
        Assert.False(access.MayAccess("users-db"));
        Assert.False(access.MayConnect("vpc"));
        Assert.False(access.MayConnect("orders-db"));
    }

    [Fact]
    public void New_tokens_are_long_recognisable_and_all_different()
    {
        var tokens = Enumerable.Range(0, 100).Select(static _ => ClientSecret.NewToken()).ToArray();
        Assert.Equal(100, tokens.DistinctBy(static token => token.ClientId).Count());
        Assert.Equal(100, tokens.DistinctBy(static token => token.ClientSecret).Count());
        Assert.All(tokens, static token =>
        {
            Assert.Matches("^[0-9a-f]{32}\\.access$", token.ClientId);
            Assert.Matches("^tunnel_[A-Za-z0-9_-]{43}$", token.ClientSecret);
            Assert.DoesNotContain(token.ClientSecret, token.ToString(), StringComparison.Ordinal);
        });
    }

    private static Denial Deny(string id, string secret, StateSnapshot state, DateTimeOffset? now = null)
    {
        var token = AccessGate.Authenticate(id, secret, state, now ?? Now, out var denial);
        Assert.Equal(denial == Denial.None, token is not null);
        return denial;
    }
}
