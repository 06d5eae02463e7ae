using System.Net.Security;
using System.Text;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>Answers that come before their requests have ended, and what must not be repeated or lost then.</summary>
[Collection(WebCollection.Name)]
public sealed class RefusalTests(WebFixture fixture)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private static string Spy => TunnelCluster.HostnameOf("spy");

    /// <summary>Whoever fills up what the client has promised is busy for ever.</summary>
    [Theory]
    [InlineData(413, "HTTP/1.1 413 Payload Too Large")]
    [InlineData(302, "HTTP/1.1 502 Bad Gateway")]
    public async Task Refused_length_that_nobody_can_send_costs_nothing(int status, string expected)
    {
        fixture.Spy.Reset();
        fixture.Spy.OnRequest = connection => connection.AnswerAsync($"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
        await using var tls = await fixture.ConnectAsync(Spy);

        await tls.WriteAsync(Encoding.ASCII.GetBytes($"PUT / HTTP/1.1\r\nHost: {Spy}\r\nContent-Length: {long.MaxValue}\r\n\r\nfirst"), Cancelled);
        var answer = await HeadAsync(tls);

        Assert.StartsWith(expected, answer, StringComparison.Ordinal);
        Assert.Contains("\r\nTunnel-Error: target/refused\r\n", answer, StringComparison.Ordinal);
        await UntilNothingRunsAsync();
    }

    [Theory]
    [InlineData("Content-Length: 1000")]
    [InlineData("Transfer-Encoding: chunked")]
    public async Task Refusal_is_heard_while_the_client_is_silent(string framing)
    {
        fixture.Spy.Reset();
        fixture.Spy.OnRequest = static connection => connection.AnswerAsync("HTTP/1.1 401 Who are you\r\nContent-Length: 0\r\n\r\n");
        await using var tls = await fixture.ConnectAsync(Spy);

        await tls.WriteAsync(Encoding.ASCII.GetBytes($"PUT / HTTP/1.1\r\nHost: {Spy}\r\n{framing}\r\n\r\n"), Cancelled);

        Assert.StartsWith("HTTP/1.1 401 Who are you\r\n", await HeadAsync(tls), StringComparison.Ordinal);
    }

    /// <summary>The HTTP client's buffer is full of the page then, and it has asked for it before the upload began.</summary>
    [Theory]
    [InlineData("413 Payload Too Large")]
    [InlineData("302 Found")]
    public async Task Second_upload_of_a_connection_is_refused_in_the_middle_with_a_long_page(string status)
    {
        fixture.Spy.Reset();
        var answers = new Queue<string>(["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", $"HTTP/1.1 {status}\r\nContent-Length: 8192\r\n\r\n{new string('p', 8192)}"]);
        fixture.Spy.OnRequest = connection => connection.AnswerAsync(answers.Dequeue());
        await using var tls = await fixture.ConnectAsync(Spy);
        await tls.WriteAsync(Encoding.ASCII.GetBytes($"PUT /first HTTP/1.1\r\nHost: {Spy}\r\nContent-Length: 4\r\n\r\nbody"), Cancelled);
        Assert.StartsWith("HTTP/1.1 200", await HeadAsync(tls), StringComparison.Ordinal);

        await tls.WriteAsync(Encoding.ASCII.GetBytes($"PUT /second HTTP/1.1\r\nHost: {Spy}\r\nContent-Length: 50000000\r\n\r\nbody"), Cancelled);
        var answer = await HeadAsync(tls);

        Assert.StartsWith($"HTTP/1.1 {status}\r\n", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("Tunnel-Error", answer, StringComparison.Ordinal);
        var page = new byte[8192];
        await tls.ReadExactlyAsync(page, Cancelled);
        Assert.All(page, static letter => Assert.Equal((byte)'p', letter));
        Assert.Contains("PUT /second", Assert.Single(fixture.Spy.Received, static text => text.StartsWith("PUT /first", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("POST")]
    [InlineData("PATCH")]
    [InlineData("REPORT")]
    public async Task Request_without_a_body_that_is_not_idempotent_is_sent_once(string method)
    {
        fixture.Spy.Reset();
        fixture.Spy.OnRequest = static _ => Task.FromResult(false);
        await using var tls = await fixture.ConnectAsync(Spy);

        // Without a length, too: one of zero is a body to the HTTP client.
        await tls.WriteAsync(Encoding.ASCII.GetBytes($"{method} /once HTTP/1.1\r\nHost: {Spy}\r\n\r\n"), Cancelled);

        Assert.StartsWith("HTTP/1.1 502", await HeadAsync(tls), StringComparison.Ordinal);
        Assert.Equal(1, fixture.Spy.Received.Count(text => text.Contains($"{method} /once", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("app")]
    [InlineData("nowhere")]
    public async Task Refusal_reaches_a_client_that_sends_its_body_first(string service)
    {
        var host = TunnelCluster.HostnameOf(service);
        await using var tls = await fixture.ConnectAsync(service == "nowhere" ? "localhost" : host);
        var body = new byte[1 << 20];

        await tls.WriteAsync(Encoding.ASCII.GetBytes($"POST / HTTP/1.1\r\nHost: {host}\r\nCF-Access-Client-Id: nobody\r\nContent-Length: {body.Length}\r\n\r\n"), Cancelled);
        await tls.WriteAsync(body, Cancelled);
        var answer = await HeadAsync(tls);

        Assert.StartsWith(service == "app" ? "HTTP/1.1 403" : "HTTP/1.1 4", answer, StringComparison.Ordinal);
        await tls.WriteAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"), Cancelled);
        Assert.Contains("HTTP/1.1 4", await new StreamReader(tls, Encoding.Latin1).ReadToEndAsync(Cancelled), StringComparison.Ordinal);
    }

    /// <summary>What libwww-perl sends, and what curl offers.</summary>
    [Theory]
    [InlineData("Connection: TE, close\r\nTE: trailers\r\n")]
    [InlineData("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n")]
    [InlineData("Connection: Content-Type, Content-Language, not a name, X-Hop\r\nContent-Type: text/x-hop\r\nContent-Language: de\r\nX-Hop: hop\r\n")]
    public async Task Connection_header_that_names_anything_is_no_fault(string headers)
    {
        fixture.Spy.Reset();
        var mark = $"{Guid.NewGuid():N}";
        await using var tls = await fixture.ConnectAsync(Spy);

        await tls.WriteAsync(Encoding.ASCII.GetBytes($"POST / HTTP/1.1\r\nHost: {Spy}\r\nContent-Length: 4\r\nX-Mark: {mark}\r\n{headers}\r\nbody"), Cancelled);

        Assert.StartsWith("HTTP/1.1 200", await HeadAsync(tls), StringComparison.Ordinal);
        var received = fixture.Spy.RequestWith(mark);
        Assert.DoesNotContain("HTTP2-Settings", received, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("X-Hop", received, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Content-Language", received, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>With these the origin would take the next caller on the connection for this one.</summary>
    [Theory]
    [InlineData("Negotiate YIIabc==", false)]
    [InlineData("ntlm TlRMTVNTUAAB", false)]
    [InlineData("Basic dTpw", true)]
    public async Task Connections_are_not_authenticated(string credentials, bool passes)
    {
        fixture.Spy.Reset();
        fixture.Spy.OnRequest = static connection => connection.AnswerAsync(
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM TlRMTVNTUAAC\r\nWWW-Authenticate: Basic realm=\"a, Negotiate\"\r\nContent-Length: 0\r\n\r\n");
        var mark = $"{Guid.NewGuid():N}";
        await using var tls = await fixture.ConnectAsync(Spy);

        await tls.WriteAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {Spy}\r\nX-Mark: {mark}\r\nAuthorization: {credentials}\r\n\r\n"), Cancelled);
        var answer = await HeadAsync(tls);

        Assert.Equal(passes, fixture.Spy.RequestWith(mark).Contains("Authorization", StringComparison.OrdinalIgnoreCase));
        Assert.Equal(["WWW-Authenticate: Basic realm=\"a, Negotiate\""], answer.Split("\r\n").Where(static line => line.StartsWith("WWW-", StringComparison.OrdinalIgnoreCase)));
    }

    private static async Task<string> HeadAsync(SslStream tls)
    {
        var head = new StringBuilder();
        var letter = new byte[1];
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(Patience);
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            await tls.ReadExactlyAsync(letter, limit.Token);
            head.Append((char)letter[0]);
        }

        return head.ToString();
    }

    private async Task UntilNothingRunsAsync()
    {
        using var management = new HttpClient();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(Patience);
        while (!(await management.GetStringAsync(new Uri(fixture.Cluster.Management, "/metrics"), limit.Token)).Contains("tunnel_ingress_http_requests_running 0", StringComparison.Ordinal))
        {
            await Task.Delay(20, limit.Token);
        }
    }
}
