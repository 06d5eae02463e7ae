using System.Text;
using Shared.Pooling.Postgres.Authentication;
using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Tests.Postgres;

namespace Shared.Pooling.Tests.Authentication;

public sealed class ScramTests(PoolFixture fixture)
{
    [Fact]
    public void Keys_are_those_of_RFC_7677()
    {
        var keys = ScramKeys.Derive("pencil", Convert.FromBase64String("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);

        // Section 3 of the RFC shows the exchange; the server's signature follows from the server key.
        var message = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"u8;
        Assert.Equal("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", Convert.ToBase64String(System.Security.Cryptography.HMACSHA256.HashData(keys.ServerKey, message)));
    }

    [Theory]
    [InlineData("secret", "secret", true)]
    [InlineData("secret", "Secret", false)]
    [InlineData("pässwörd ☃", "pässwörd ☃", true)]
    public void Client_and_server_agree_on_the_password_only(string stored, string given, bool agree)
    {
        foreach (var binding in new[] { null, "certificate"u8.ToArray() })
        {
            var client = new ScramClient(given, keys: null, binding, couldBind: false);
            var server = new ScramServer([ScramVerifier.Create(stored)], binding, plus: binding is not null);
            var final = server.Final(client.Final(server.First(client.First())));
            Assert.Equal(agree, final is not null);
            if (final is not null)
            {
                client.Verify(final);
                Assert.NotNull(server.Proof.Keys);
            }
        }
    }

    [Fact]
    public async Task Verifier_is_the_one_that_PostgreSQL_keeps()
    {
        await fixture.ScalarAsync("create role scram_test password 'open sesame'");
        var text = await fixture.ScalarAsync("select rolpassword from pg_authid where rolname = 'scram_test'");

        Assert.True(ScramVerifier.TryParse(text, out var verifier));
        Assert.Equal(text, ScramVerifier.Create("open sesame", verifier.Salt, verifier.Iterations).ToString());
        Assert.Equal(
            await fixture.ScalarAsync("select 'md5' || md5('open sesame' || 'scram_test')"), Md5Password.Stored("open sesame", "scram_test"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("SCRAM-SHA-256$4096:c2FsdA==$AAAA:AAAA")]
    [InlineData("SCRAM-SHA-256$0:c2FsdA==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")]
    [InlineData("SCRAM-SHA-256$4096:?$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")]
    [InlineData("md5d41d8cd98f00b204e9800998ecf8427e")]
    public void What_is_no_verifier_is_not_taken_for_one(string text) => Assert.False(ScramVerifier.TryParse(text, out _));

    [Theory]
    [InlineData("r=other,s=c2FsdA==,i=4096", "does not extend ours")]
    [InlineData("r={nonce},s=c2FsdA==,i=4096", "does not extend ours")]
    [InlineData("r={nonce}x,s=c2FsdA==,i=2147483647", "impossible number")]
    [InlineData("r={nonce}x,s=c2FsdA==,i=0", "impossible number")]
    [InlineData("r={nonce}x,s=c2FsdA==,i=-1", "impossible number")]
    [InlineData("r={nonce}x,s=c2FsdA==,i=99999999999999", "impossible number")]
    [InlineData("r={nonce}x,s=!,i=4096", "not base64")]
    [InlineData("r={nonce}x,i=4096,s=c2FsdA==", "attribute \"s\" expected")]
    [InlineData("m=ext,r={nonce}x,s=c2FsdA==,i=4096", "attribute \"r\" expected")]
    [InlineData("r={nonce}x,s=c2FsdA==,i=4096,x=y", "more than expected")]
    [InlineData("", "attribute \"r\" expected")]
    public void Hostile_server_gets_nothing(string serverFirst, string expected)
    {
        var client = new ScramClient("secret", keys: null, binding: null, couldBind: false);
        var nonce = Encoding.UTF8.GetString(client.First()).Split("r=")[1];

        var exception = Assert.Throws<ProtocolViolationException>(() => client.Final(Encoding.UTF8.GetBytes(serverFirst.Replace("{nonce}", nonce, StringComparison.Ordinal))));

        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
        Assert.Throws<ProtocolViolationException>(() => client.Verify("v=AAAA"u8));
    }

    [Theory]
    [InlineData("")]
    [InlineData("n,,")]
    [InlineData("n,a=other,n=,r=abc")]
    [InlineData("p=tls-unique,,n=,r=abc")]
    [InlineData("p=tls-server-end-point,,n=,r=abc")]
    [InlineData("n,,n=,r=")]
    [InlineData("n,,n=,r=a\u0001b")]
    [InlineData("n,,m=x,n=,r=abc")]
    [InlineData("n,,n=,r=abc,x=y")]
    [InlineData("q,,n=,r=abc")]
    public void Malformed_first_message_is_refused(string clientFirst) => Assert.Throws<ProtocolViolationException>(
        () => new ScramServer([ScramVerifier.Create("x")], binding: null, plus: false).First(Encoding.UTF8.GetBytes(clientFirst)));

    [Fact]
    public void Client_whose_offer_was_tampered_with_is_refused()
    {
        var server = new ScramServer([ScramVerifier.Create("x")], "certificate"u8.ToArray(), plus: false);

        var exception = Assert.Throws<ProtocolViolationException>(() => server.First("y,,n=,r=abc"u8));

        Assert.Contains("negotiation error", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Unknown_user_has_the_same_salt_each_time()
    {
        var secret = new byte[32];
        Assert.Equal(ScramVerifier.Mock("a", secret).Salt, ScramVerifier.Mock("a", secret).Salt);
        Assert.NotEqual(ScramVerifier.Mock("a", secret).Salt, ScramVerifier.Mock("b", secret).Salt);
    }
}
