using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>
/// Requests that nobody sends by accident, as raw bytes over TLS, to an origin that records every byte that comes: none reaches an origin it
/// may not reach, and none is two requests there.
/// </summary>
[Collection(WebCollection.Name)]
public sealed partial class HostileTests(WebFixture fixture)
{
    /// <summary>What becomes of a request.</summary>
    public enum Fate
    {
        /// <summary>The origin sees nothing of it.</summary>
        Refused,

        /// <summary>The origin sees it begin, and never its end.</summary>
        Broken,

        /// <summary>The origin answers it, once.</summary>
        Passed,
    }

    private const string Smuggled = "GET /smuggled HTTP/1.1\r\nHost: spy.tunnel.localhost\r\n\r\n";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private static string Spy => TunnelCluster.HostnameOf("spy");

    /// <summary>A name, the request, and what becomes of it.</summary>
    public static TheoryData<string, string, Fate> Corpus => new()
    {
        { "both lengths", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{Smuggled}", Fate.Refused },
        { "both lengths, reversed", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nTransfer-Encoding: chunked\r\nContent-Length: {Smuggled.Length}\r\n\r\n0\r\n\r\n{Smuggled}", Fate.Refused },
        { "two lengths", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nContent-Length: 0\r\nContent-Length: {Smuggled.Length}\r\n\r\n{Smuggled}", Fate.Refused },
        { "a list of lengths", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nContent-Length: 0, {Smuggled.Length}\r\n\r\n{Smuggled}", Fate.Refused },
        { "a length with a sign", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nContent-Length: +1\r\n\r\nx", Fate.Passed },
        { "a negative length", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nContent-Length: -1\r\n\r\n{Smuggled}", Fate.Refused },
        { "an unknown coding", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{Smuggled}", Fate.Refused },
        { "chunked twice", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{Smuggled}", Fate.Refused },
        { "a blank before the colon", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nTransfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{Smuggled}", Fate.Refused },
        { "a vertical tab in the coding", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nTransfer-Encoding: \vchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{Smuggled}", Fate.Refused },
        { "a folded header", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nX-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", Fate.Refused },
        { "a bare line feed", $"POST /x HTTP/1.1\nHost: {Spy}\nContent-Length: 0\n\n{Smuggled}", Fate.Refused },
        { "a line feed in a header", $"GET /x HTTP/1.1\r\nHost: {Spy}\r\nX-A: b\nX-B: c\r\n\r\n", Fate.Refused },
        { "a carriage return in a header", $"GET /x HTTP/1.1\r\nHost: {Spy}\r\nX-A: b\rX-B: c\r\n\r\n", Fate.Refused },
        { "a NUL in a header", $"GET /x HTTP/1.1\r\nHost: {Spy}\r\nX-A: b\0c\r\n\r\n", Fate.Refused },
        { "a chunk's length with a sign", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", Fate.Broken },
        { "a chunk that is too long", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n", Fate.Broken },
        { "a chunk without end", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n", Fate.Broken },
        { "a chunk's length that overflows", $"POST /x HTTP/1.1\r\nHost: {Spy}\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello\r\n", Fate.Broken },
        { "HTTP/1.0 in chunks", $"POST /x HTTP/1.0\r\nHost: {Spy}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{Smuggled}", Fate.Refused },
        { "two hosts", $"GET /x HTTP/1.1\r\nHost: {Spy}\r\nHost: app.tunnel.localhost\r\n\r\n", Fate.Refused },
        { "no host", "GET /x HTTP/1.1\r\n\r\n", Fate.Refused },
        { "a host with a path", $"GET /x HTTP/1.1\r\nHost: {Spy}/x\r\n\r\n", Fate.Refused },
        { "a host with a user", $"GET /x HTTP/1.1\r\nHost: app@{Spy}\r\n\r\n", Fate.Refused },
        { "another service's host", "GET /x HTTP/1.1\r\nHost: page.tunnel.localhost\r\n\r\n", Fate.Refused },
        { "a host that does not exist", "GET /x HTTP/1.1\r\nHost: nowhere.tunnel.localhost\r\n\r\n", Fate.Refused },
        { "the plain bytes of another service", "GET /x HTTP/1.1\r\nHost: raw.tunnel.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", Fate.Refused },
        { "absolute form, another host", $"GET http://page.tunnel.localhost/x HTTP/1.1\r\nHost: {Spy}\r\n\r\n", Fate.Refused },
        { "absolute form, the same host", $"GET https://{Spy}/x HTTP/1.1\r\nHost: {Spy}\r\n\r\n", Fate.Passed },
        { "authority form", $"CONNECT {Spy}:443 HTTP/1.1\r\nHost: {Spy}:443\r\n\r\n", Fate.Refused },
        { "asterisk form", $"OPTIONS * HTTP/1.1\r\nHost: {Spy}\r\n\r\n", Fate.Refused },
        { "a fragment", $"GET /x#y HTTP/1.1\r\nHost: {Spy}\r\n\r\n", Fate.Refused },
        { "a blank in the target", $"GET /x HTTP/1.1 /y HTTP/1.1\r\nHost: {Spy}\r\n\r\n", Fate.Refused },
        { "a tab in the target", $"GET /x\tHTTP/1.1 HTTP/1.1\r\nHost: {Spy}\r\n\r\n", Fate.Refused },
        { "a method with a tab", $"GET\t/x HTTP/1.1\r\nHost: {Spy}\r\n\r\n", Fate.Refused },
        { "HTTP/2 in clear", $"GET /x HTTP/1.1\r\nHost: {Spy}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", Fate.Passed },
        { "HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Fate.Refused },
        { "a version nobody speaks", $"GET /x HTTP/3.7\r\nHost: {Spy}\r\n\r\n", Fate.Refused },
        { "headers over the limit", $"GET /x HTTP/1.1\r\nHost: {Spy}\r\nX-A: {new string('a', 40_000)}\r\n\r\n", Fate.Refused },
        { "too many headers", $"GET /x HTTP/1.1\r\nHost: {Spy}\r\n{string.Concat(Enumerable.Range(0, 200).Select(static i => $"X-{i}: a\r\n"))}\r\n", Fate.Refused },
        { "a target over the limit", $"GET /{new string('a', 20_000)} HTTP/1.1\r\nHost: {Spy}\r\n\r\n", Fate.Refused },
        { "no HTTP", "\0\x01\x02\x03 what is this\r\n\r\n", Fate.Refused },
    };

    [Theory]
    [MemberData(nameof(Corpus))]
    public async Task Hostile_request_is_one_request_or_none(string name, string request, Fate fate)
    {
        // What the request before has left behind may still be on its way.
        var mark = $"{Guid.NewGuid():N}";
        await using var tls = await fixture.ConnectAsync(Spy);

        var answer = await ExchangeAsync(tls, request.Replace("/x", $"/x{mark}", StringComparison.Ordinal).Replace("/smuggled", $"/smuggled{mark}", StringComparison.Ordinal));
        await PassBarrierAsync(tls);

        var received = string.Concat(fixture.Spy.Received.Where(text => text.Contains(mark, StringComparison.Ordinal)));
        var seen = Count(received, mark);
        Assert.True(seen <= (fate == Fate.Refused ? 0 : 1), $"{name}: the origin received\n{received}\nand the client\n{answer}");
        Assert.True(answer.StartsWith("HTTP/1.1 200", StringComparison.Ordinal) == (fate == Fate.Passed), $"{name}: the client received\n{answer}");
        Assert.DoesNotContain("smuggled", received, StringComparison.Ordinal);
        Assert.False(fate == Fate.Broken && received.Contains("\r\n0\r\n\r\n", StringComparison.Ordinal), $"{name}: the origin received an end\n{received}");
    }

    [Fact]
    public async Task What_is_ours_to_say_is_not_taken_from_strangers()
    {
        fixture.Spy.Reset();
        var mark = NewMark();
        await using var tls = await fixture.ConnectAsync(Spy);

        await ExchangeAsync(
            tls,
            $"GET /x HTTP/1.1\r\n{mark}\r\nHost: SPY.tunnel.localhost.\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 6\r\n"
            + $"Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Original-URL: /6.6.6.6\r\nClient-IP: 6.6.6.6\r\nX-Forwarded: 6.6.6.6\r\nX.Forwarded.For: 6.6.6.6\r\nX-ProxyUser-Ip: 6.6.6.6\r\nProxy: http://6.6.6.6\r\nTunnel-Request: 6.6.6.6\r\nTunnel-Stream: 6.6.6.6\r\ntunnel_request: 6.6.6.6\r\n"
            + $"CF-Access-Client-Id: {fixture.Token.Id}\r\nCF-Access-Client-Secret: {fixture.Token.Secret}\r\nCF_Access_Client_Secret: {fixture.Token.Secret}\r\nCF.Access.Client.Secret: {fixture.Token.Secret}\r\nCf-Access-Jwt-Assertion: 6.6.6.6\r\n"
            + "Connection: X-Hop, Authorization, X-Forwarded-For\r\nX-Hop: 6.6.6.6\r\nKeep-Alive: 6.6.6.6\r\nProxy-Authorization: 6.6.6.6\r\nTE: gzip\r\nAuthorization: mine\r\nX-Kept: gr\u00fc\u00df\r\n\r\n");

        var received = fixture.Spy.RequestWith(mark);
        Assert.DoesNotContain("6.6.6.6", received, StringComparison.Ordinal);
        Assert.DoesNotContain(fixture.Token.Id, received, StringComparison.Ordinal);
        Assert.DoesNotContain("tunnel_", received, StringComparison.Ordinal);
        Assert.Contains($"\r\nHost: {Spy}\r\n", received, StringComparison.Ordinal);
        Assert.Contains("\r\nX-Forwarded-For: 127.0.0.1\r\n", received, StringComparison.Ordinal);
        Assert.Contains("\r\nX-Forwarded-Proto: https\r\n", received, StringComparison.Ordinal);
        Assert.Contains($"\r\nX-Forwarded-Host: {Spy}\r\n", received, StringComparison.Ordinal);
        Assert.Contains("\r\nAuthorization: mine\r\n", received, StringComparison.Ordinal);
        Assert.Contains("\r\nX-Kept: gr\u00fc\u00df\r\n", received, StringComparison.Ordinal);
        Assert.Matches("\r\nTunnel-Request: [0-9a-f]{16}\r\n", received);
    }

    [Fact]
    public async Task Port_in_the_host_is_one_that_leads_here_or_none()
    {
        var own = $"{Spy}:{fixture.Cluster.Port}";
        foreach (var (written, seen) in new[] { ($"{Spy}:6666", Spy), (own, own), ($"{Spy}:443", Spy), (Spy, Spy), ($"{Spy}:{WebFixture.MappedPort}", $"{Spy}:{WebFixture.MappedPort}") })
        {
            fixture.Spy.Reset();
            var mark = NewMark();
            await using var tls = await fixture.ConnectAsync(Spy);

            await ExchangeAsync(tls, $"GET /x HTTP/1.1\r\n{mark}\r\nHost: {written}\r\nConnection: close\r\n\r\n");

            var received = fixture.Spy.RequestWith(mark);
            Assert.Contains($"\r\nHost: {seen}\r\n", received, StringComparison.Ordinal);
            Assert.Contains($"\r\nX-Forwarded-Host: {seen}\r\n", received, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Upgrade_with_a_body_is_one_request_with_that_body()
    {
        fixture.Spy.Reset();
        await using var tls = await fixture.ConnectAsync(Spy);

        var mark = NewMark();
        var answer = await ExchangeAsync(tls, $"GET /x HTTP/1.1\r\n{mark}\r\nHost: {Spy}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: {Smuggled.Length}\r\n\r\n{Smuggled}");
        await PassBarrierAsync(tls);

        Assert.StartsWith("HTTP/1.1 200", answer, StringComparison.Ordinal);
        var request = fixture.Spy.RequestWith(mark);
        var head = request[..(request.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)];
        Assert.StartsWith("GET /x HTTP/1.1\r\n", head, StringComparison.Ordinal);
        Assert.Contains($"\r\nContent-Length: {Smuggled.Length}\r\n", head, StringComparison.Ordinal);
        Assert.DoesNotContain("Transfer-Encoding", head, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Upgrade", head, StringComparison.OrdinalIgnoreCase);
        Assert.StartsWith(Smuggled, request[head.Length..], StringComparison.Ordinal);
        Assert.Equal(1, Count(request, "/smuggled"));

        // The next test's request may come over the same connection, where this body must not be taken for its own.
        fixture.Spy.Reset();
    }

    [Theory]
    [InlineData("/a%2Fb/%41/../c%20d?x=%2f&y=a+b")]
    [InlineData("//double//slash")]
    [InlineData("/?")]
    [InlineData("/~!$&'()*+,;=:@%7E[]|\"<>^`{}")]
    public async Task Target_is_what_the_client_wrote(string target)
    {
        fixture.Spy.Reset();
        var mark = NewMark();
        await using var tls = await fixture.ConnectAsync(Spy);

        await ExchangeAsync(tls, $"GET {target} HTTP/1.1\r\n{mark}\r\nHost: {Spy}\r\nConnection: close\r\n\r\n");

        Assert.StartsWith($"GET {target} HTTP/1.1\r\n", fixture.Spy.RequestWith(mark), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/a%2Fb/%41/../c?x=%2f", "/a%2Fb/%41/../c?x=%2f")]
    [InlineData("", "/")]
    [InlineData("?x=%41", "/?x=%41")]
    public async Task Target_in_absolute_form_loses_its_authority_and_nothing_else(string written, string seen)
    {
        fixture.Spy.Reset();
        var mark = NewMark();
        await using var tls = await fixture.ConnectAsync(Spy);

        await ExchangeAsync(tls, $"GET https://{Spy}{written} HTTP/1.1\r\n{mark}\r\nHost: {Spy}\r\nConnection: close\r\n\r\n");

        Assert.StartsWith($"GET {seen} HTTP/1.1\r\n", fixture.Spy.RequestWith(mark), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("page", "app")]
    [InlineData("page", "raw")]
    [InlineData("page", "nowhere")]
    public async Task HTTP2_connection_for_one_name_reaches_no_other(string connected, string asked)
    {
        using var handler = fixture.Handler();
        using var client = new HttpClient(handler);
        handler.SslOptions.TargetHost = TunnelCluster.HostnameOf(connected);
        using var request = new HttpRequestMessage(HttpMethod.Get, fixture.UriOf(connected))
        {
            Version = System.Net.HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };

        // The name in the handshake follows the Host header, unless the connection is there already.
        using var first = await client.SendAsync(request, Cancelled);
        await using var tls = await fixture.ConnectAsync(TunnelCluster.HostnameOf(connected), SslApplicationProtocol.Http2);
        var status = await Http2Exchange.StatusOfAsync(tls, TunnelCluster.HostnameOf(asked), "/", Cancelled);

        Assert.Equal("421", status);
    }

    [Fact]
    public async Task Connectors_paths_and_plain_bytes_are_not_spoken_to_in_HTTP2()
    {
        await using var tls = await fixture.ConnectAsync(TunnelCluster.HostnameOf("page"), SslApplicationProtocol.Http2);
        Assert.Equal("421", await Http2Exchange.StatusOfAsync(tls, TunnelCluster.HostnameOf("page"), "/.tunnel/v1/control", Cancelled));

        await using var raw = await fixture.ConnectAsync(TunnelCluster.HostnameOf("raw"), SslApplicationProtocol.Http2, SslApplicationProtocol.Http11);
        Assert.Equal(SslApplicationProtocol.Http11, raw.NegotiatedApplicationProtocol);
    }

    [Fact]
    public async Task Names_without_HTTP_take_no_more_headers_than_before()
    {
        var many = string.Concat(Enumerable.Range(0, 80).Select(static i => $"X-{i}: a\r\n"));
        await using var raw = await fixture.ConnectAsync(TunnelCluster.HostnameOf("raw"));
        Assert.StartsWith("HTTP/1.1 431", await ExchangeAsync(raw, $"GET / HTTP/1.1\r\nHost: {TunnelCluster.HostnameOf("raw")}\r\n{many}\r\n"), StringComparison.Ordinal);
        await using var nobody = await fixture.ConnectAsync("localhost");
        Assert.StartsWith("HTTP/1.1 431", await ExchangeAsync(nobody, $"GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"), StringComparison.Ordinal);
        fixture.Spy.Reset();
        await using var web = await fixture.ConnectAsync(Spy);
        Assert.StartsWith("HTTP/1.1 200", await ExchangeAsync(web, $"GET / HTTP/1.1\r\nHost: {Spy}\r\n{many}Connection: close\r\n\r\n"), StringComparison.Ordinal);
    }

    /// <summary>A header by which a test finds its own request at the origin.</summary>
    private static string NewMark() => $"X-Mark: {Guid.NewGuid():N}";

    private static int Count(string text, string part) => text.Split(part).Length - 1;

    /// <summary>Sends, and reads one answer, or until the ingress ends the connection.</summary>
    private static async Task<string> ExchangeAsync(SslStream tls, string request)
    {
        var answer = "";
        try
        {
            await tls.WriteAsync(Encoding.Latin1.GetBytes(request), Cancelled);
            var buffer = new byte[4096];
            while (!IsWhole(answer) && await tls.ReadAsync(buffer, Cancelled).AsTask().WaitAsync(Patience, Cancelled) is > 0 and var count)
            {
                answer += Encoding.Latin1.GetString(buffer, 0, count);
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            // It was cut, which is an answer, too.
        }

        return answer;
    }

    // Whatever of the request the ingress might take for another one is dealt with before this.
    private static async Task PassBarrierAsync(SslStream tls)
    {
        await ExchangeAsync(tls, $"GET /barrier HTTP/1.1\r\nHost: {Spy}\r\nConnection: close\r\n\r\n");
        try
        {
            await tls.CopyToAsync(Stream.Null, Cancelled).WaitAsync(Patience, Cancelled);
        }
        catch (Exception exception) when (exception is IOException or SocketException)
        {
            // It was closed already.
        }
    }

    private static bool IsWhole(string answer)
    {
        var head = answer.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (head < 0)
        {
            return false;
        }

        var length = LengthHeader().Match(answer[..head]);
        return length.Success ? answer.Length >= head + 4 + int.Parse(length.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture) : answer.EndsWith("\r\n0\r\n\r\n", StringComparison.Ordinal);
    }

    [GeneratedRegex("Content-Length: ([0-9]+)")]
    private static partial Regex LengthHeader();
}
