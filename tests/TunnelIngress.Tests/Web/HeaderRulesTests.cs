using TunnelIngress.Web;

namespace TunnelIngress.Tests.Web;

public sealed class HeaderRulesTests
{
    [Theory]
    [InlineData("X-Forwarded-For", true)]
    [InlineData("x-forwarded-prefix", true)]
    [InlineData("Forwarded", true)]
    [InlineData("X-Real-IP", true)]
    [InlineData("X_Forwarded_For", false)]
    [InlineData("X.Forwarded.For", false)]
    [InlineData("x~forwarded'for", false)]
    [InlineData("X-ProxyUser-Ip", false)]
    [InlineData("X-Forwarded", false)]
    [InlineData("Client-IP", false)]
    [InlineData("True-Client-IP", false)]
    [InlineData("X-Original-URL", false)]
    [InlineData("CF-Connecting-IP", false)]
    public void Who_asks_is_said_by_us_or_by_our_operators_proxy(string name, bool isSaidByProxy)
    {
        Assert.True(HeaderRules.IsAboutTheClient(name, trustsClient: false));
        Assert.Equal(!isSaidByProxy, HeaderRules.IsAboutTheClient(name, trustsClient: true));
    }

    [Theory]
    [InlineData("X_Forwarded_For")]
    [InlineData("X-Forwarded-Client_Cert")]
    [InlineData("X.Real.IP")]
    public void Our_operators_proxy_is_believed_in_the_spelling_that_it_takes_from_others_only(string name) =>
        Assert.True(HeaderRules.IsAboutTheClient(name, trustsClient: true));

    [Theory]
    [InlineData("Proxy")]
    [InlineData("proxy")]
    [InlineData("CF_Access_Client_Secret")]
    [InlineData("CF.Access.Client.Secret")]
    [InlineData("tunnel|request")]
    [InlineData("Tunnel-Request")]
    public void What_is_ours_passes_from_nobody(string name) => Assert.True(HeaderRules.IsOurs(name));

    [Theory]
    [InlineData("X-Request-ID")]
    [InlineData("x_custom.header")]
    [InlineData("Forward")]
    public void What_is_nobodys_but_the_clients_passes(string name)
    {
        Assert.False(HeaderRules.IsOurs(name));
        Assert.False(HeaderRules.IsAboutTheClient(name, trustsClient: false));
    }

    [Theory]
    [InlineData("Negotiate", "")]
    [InlineData("Negotiate YII=, NTLM", "")]
    [InlineData("Basic realm=\"a, b\", Negotiate, Digest realm=\"c\", nonce=\"d\"", "Basic realm=\"a, b\", Digest realm=\"c\", nonce=\"d\"")]
    [InlineData("NTLM, Basic realm = \"a\", charset=\"UTF-8\"", "Basic realm = \"a\", charset=\"UTF-8\"")]
    [InlineData("Basic realm=\"NTLM \\\", Negotiate\"", "Basic realm=\"NTLM \\\", Negotiate\"")]
    [InlineData("Negotiator,  NTLMv3", "Negotiator,  NTLMv3")]
    public void Challenges_for_a_whole_connection_are_taken_from_a_line(string line, string left) => Assert.Equal(left, ConnectionAuthentication.Without(line));
}
