using System.Net;
using System.Text.Json;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>What of a request and its answer passes, what does not, and in which version of HTTP.</summary>
[Collection(WebCollection.Name)]
public sealed class ForwardingTests(WebFixture fixture)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("app", "1.1", "HTTP/1.1")]
    [InlineData("app", "2.0", "HTTP/1.1")]
    [InlineData("secure", "1.1", "HTTP/2")]
    [InlineData("secure", "2.0", "HTTP/2")]
    [InlineData("insecure", "2.0", "HTTP/2")]
    public async Task Client_and_origin_speak_the_best_that_each_can(string service, string version, string seen)
    {
        using var client = fixture.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, fixture.UriOf(service, "/seen")) { Version = new Version(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact };

        using var answer = await client.SendAsync(request, Cancelled);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(new Version(version), answer.Version);
        using var document = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancelled));
        Assert.Equal(seen, document.RootElement.GetProperty("protocol").GetString());
    }
}
