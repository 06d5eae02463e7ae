using System.Net;
using System.Text.Json;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>What a client is told when there is no answer of an origin to give, and that the log says the same.</summary>
[Collection(WebCollection.Name)]
public sealed class ErrorTests(WebFixture fixture)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("lonely", 503, "connector/offline")]
    [InlineData("refused", 502, "target/connection-refused")]
    [InlineData("silent", 504, "target/timeout")]
    [InlineData("untrusted", 502, "target/certificate-not-trusted")]
    [InlineData("misnamed", 502, "target/certificate-not-trusted")]
    [InlineData("no-tls", 502, "target/tls-failed")]
    public async Task Failure_names_the_hop_and_the_request_to_the_client_and_in_the_log(string service, int status, string error)
    {
        using var client = fixture.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, fixture.UriOf(service));
        request.Headers.Accept.ParseAdd("application/json");

        using var answer = await client.SendAsync(request, Cancelled);

        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal(error, Assert.Single(answer.Headers.GetValues("Tunnel-Error")));
        var id = Assert.Single(answer.Headers.GetValues("Tunnel-Request"));
        using var body = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancelled));
        Assert.Equal((id, error, status), (
            body.RootElement.GetProperty("request").GetString(),
            $"{body.RootElement.GetProperty("hop").GetString()}/{body.RootElement.GetProperty("code").GetString()}",
            body.RootElement.GetProperty("status").GetInt32()));
        var logged = await fixture.Cluster.Ingress.WaitForAsync("RequestFailed", seen => seen["Request"] == id);
        Assert.Equal((service, error), (logged["Service"], $"{logged["Hop"]}/{logged["Code"]}"));
        Assert.DoesNotContain("127.0.0.1:", body.RootElement.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html", "<!doctype html>")]
    [InlineData("application/json", "application/json", "{")]
    [InlineData("text/html;q=0.5, application/json", "application/json", "{")]
    [InlineData("*/*", "text/plain", "tunnel: ")]
    [InlineData("", "text/plain", "tunnel: ")]
    [InlineData("nonsense", "text/plain", "tunnel: ")]
    public async Task Answer_has_the_form_that_was_asked_for(string accept, string type, string begin)
    {
        using var client = fixture.Client();
        foreach (var service in new[] { "lonely", "nowhere" })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, fixture.UriOf("lonely", "/<script>"));
            if (service == "nowhere")
            {
                request.RequestUri = new Uri($"https://localhost:{fixture.Cluster.Port}/");
            }

            request.Headers.TryAddWithoutValidation("Accept", accept);
            using var answer = await client.SendAsync(request, Cancelled);

            Assert.Equal(service == "nowhere" ? HttpStatusCode.NotFound : HttpStatusCode.ServiceUnavailable, answer.StatusCode);
            Assert.Equal(type, answer.Content.Headers.ContentType!.MediaType);
            var body = await answer.Content.ReadAsStringAsync(Cancelled);
            Assert.StartsWith(begin, body, StringComparison.Ordinal);
            Assert.Contains(Assert.Single(answer.Headers.GetValues("Tunnel-Request")), body, StringComparison.Ordinal);
            Assert.DoesNotContain("<script>", body, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("", "target/closed")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n\r\n", "target/invalid-response")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "target/invalid-response")]
    [InlineData("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "target/invalid-response")]
    [InlineData("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "target/")]
    [InlineData("HTTP/1.1 200 OK\r\nX-A: ", "target/closed")]
    public async Task Origin_that_answers_garbage_or_closes_is_502(string garbage, string error)
    {
        fixture.Spy.Reset();
        fixture.Spy.OnRequest = async connection =>
        {
            await connection.AnswerAsync(garbage);
            return false;
        };
        using var client = fixture.Client(withToken: false);

        using var answer = await client.GetAsync(fixture.UriOf("spy"), Cancelled);

        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        Assert.StartsWith(error, Assert.Single(answer.Headers.GetValues("Tunnel-Error")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Origin_that_closes_in_the_middle_never_looks_complete(string version)
    {
        fixture.Spy.Reset();
        fixture.Spy.OnRequest = async connection =>
        {
            await connection.AnswerAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
            return false;
        };
        using var client = fixture.Client(withToken: false);
        using var request = new HttpRequestMessage(HttpMethod.Get, fixture.UriOf("spy")) { Version = new Version(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact };

        await Assert.ThrowsAsync<HttpRequestException>(async () => await client.SendAsync(request, Cancelled));
    }

    [Fact]
    public async Task Origin_whose_headers_never_end_is_cut()
    {
        fixture.Spy.Reset();
        fixture.Spy.OnRequest = async connection =>
        {
            await connection.AnswerAsync("HTTP/1.1 200 OK\r\n");
            for (var i = 0; i < 10_000; i++)
            {
                await connection.AnswerAsync($"X-{i}: {new string('a', 100)}\r\n");
            }

            return false;
        };
        using var client = fixture.Client(withToken: false);

        using var answer = await client.GetAsync(fixture.UriOf("spy"), Cancelled);

        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
    }

    /// <summary>What an origin says of us is not passed on, and bytes of its headers are.</summary>
    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Origin_cannot_speak_for_the_ingress(string version)
    {
        fixture.Spy.Reset();
        fixture.Spy.OnRequest = static connection => connection.AnswerAsync(
            "HTTP/1.1 200 OK\r\nTunnel-Error: ingress/forged\r\nTunnel-Request: forged\r\nConnection: X-Hop, close\r\nX-Hop: hop\r\nX-Kept: kept\r\nContent-Length: 2\r\n\r\nok");
        using var client = fixture.Client(withToken: false);
        using var request = new HttpRequestMessage(HttpMethod.Get, fixture.UriOf("spy")) { Version = new Version(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact };

        using var answer = await client.SendAsync(request, Cancelled);

        Assert.Equal("ok", await answer.Content.ReadAsStringAsync(Cancelled));
        Assert.False(answer.Headers.Contains("Tunnel-Error"));
        Assert.False(answer.Headers.Contains("X-Hop"));
        Assert.Equal("kept", Assert.Single(answer.Headers.GetValues("X-Kept")));
        Assert.Matches("^[0-9a-f]{16}$", Assert.Single(answer.Headers.GetValues("Tunnel-Request")));
    }
}
