using Shared.Streams.Protocol;
using TunnelIngress.Administration;

namespace TunnelIngress.Tests.Administration;

public sealed class NamesTests
{
    [Theory]
    [InlineData("a")]
    [InlineData("0")]
    [InlineData("orders-db-2")]
    [InlineData("a23456789012345678901234567890123456789012345678901234567890123")]
    public void A_good_name_is_accepted(string name) => Assert.Null(PlainName.FaultOf("tunnel", name));

    [Theory]
    [InlineData("")]
    [InlineData("-a")]
    [InlineData("A")]
    [InlineData("a_b")]
    [InlineData("a.b")]
    [InlineData("a b")]
    [InlineData("a\n")]
    [InlineData("\u00e4")]
    [InlineData("a234567890123456789012345678901234567890123456789012345678901234")]
    public void A_bad_name_is_refused_with_the_rule(string name) =>
        Assert.Contains("1 to 63", PlainName.FaultOf("tunnel", name), StringComparison.Ordinal);

    [Theory]
    [InlineData("db.example.com", "db.example.com")]
    [InlineData("DB.Example.COM.", "db.example.com")]
    [InlineData("localhost", "localhost")]
    [InlineData("1.2.3.4a", "1.2.3.4a")]
    [InlineData("xn--bcher-kva.example", "xn--bcher-kva.example")]
    public void A_hostname_is_kept_in_one_form(string hostname, string kept) => Assert.Equal(kept, Names.NormalizeHostname(hostname));

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("a..b")]
    [InlineData("a.b..")]
    [InlineData("a_b.example.com")]
    [InlineData("-a.example.com")]
    [InlineData("a-.example.com")]
    [InlineData("*.example.com")]
    [InlineData("example.com:443")]
    [InlineData("https://example.com")]
    [InlineData("10.0.0.1")]
    [InlineData("::1")]
    [InlineData("example.com\n")]
    [InlineData("b\u00fccher.example")]
    public void What_is_no_hostname_is_refused(string hostname) => Assert.Null(Names.NormalizeHostname(hostname));

    [Fact]
    public void A_hostname_has_253_characters_and_a_label_63_at_most()
    {
        var label = new string('a', 63);
        var longest = $"{label}.{label}.{label}.{label[..61]}";
        Assert.Equal(longest, Names.NormalizeHostname(longest));
        Assert.Null(Names.NormalizeHostname($"{label}.{label}.{label}.{label[..62]}"));
        Assert.Null(Names.NormalizeHostname($"a{label}.example.com"));
    }
}
