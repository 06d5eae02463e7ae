using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>Who may send requests, and what happens to those that run when he may not any more.</summary>
[Collection(WebCollection.Name)]
public sealed class AccessTests(WebFixture fixture)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Service_without_public_access_wants_a_good_token_of_its_scope()
    {
        var elsewhere = await fixture.NewTokenAsync("--access", "files");
        var connector = await ReadAsync(fixture.Cluster.ConnectorToken);
        await fixture.UntilStateIsReadAsync();
        foreach (var (id, secret) in new[] { ("", ""), (fixture.Token.Id, "tunnel_wrong"), ("0123.access", fixture.Token.Secret), elsewhere, connector })
        {
            using var client = fixture.Client(withToken: false);
            client.DefaultRequestHeaders.TryAddWithoutValidation("CF-Access-Client-Id", id);
            client.DefaultRequestHeaders.TryAddWithoutValidation("CF-Access-Client-Secret", secret);

            using var answer = await client.GetAsync(fixture.UriOf("app", "/seen"), Cancelled);

            Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
            Assert.Equal("ingress/token-refused", Assert.Single(answer.Headers.GetValues("Tunnel-Error")));
            var request = Assert.Single(answer.Headers.GetValues("Tunnel-Request"));
            await fixture.Cluster.Ingress.WaitForAsync("AccessDenied", seen => seen["Request"] == request);
        }
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Revoked_token_loses_its_running_request_and_another_on_the_same_connection_does_not(string version)
    {
        var revoked = await fixture.NewTokenAsync("--access", "secure");
        await fixture.UntilStateIsReadAsync();
        using var loser = fixture.Client(withToken: false);
        loser.DefaultRequestHeaders.Add("CF-Access-Client-Id", revoked.Id);
        loser.DefaultRequestHeaders.Add("CF-Access-Client-Secret", revoked.Secret);
        using var keeper = fixture.Client();
        using var lost = await loser.SendAsync(Request("/hang?started", version), HttpCompletionOption.ResponseHeadersRead, Cancelled);
        Assert.Equal("begun", await fixture.App.Hangs.Reader.ReadAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        fixture.App.Hold();
        var kept = keeper.SendAsync(Request("/held", version), Cancelled);

        await fixture.Cluster.AdminAsync("token", "revoke", revoked.Id);

        await Assert.ThrowsAnyAsync<Exception>(async () => await lost.Content.ReadAsStringAsync(Cancelled).WaitAsync(Patience, Cancelled));
        Assert.Equal("aborted", await fixture.App.Hangs.Reader.ReadAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        fixture.App.Held.SetResult();
        using var answer = await kept;
        Assert.Equal("late", await answer.Content.ReadAsStringAsync(Cancelled));
        using var refused = await loser.SendAsync(Request("/seen", version), Cancelled);
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
    }

    /// <summary>Bytes of one's own would come with headers that only the ingress may write.</summary>
    [Fact]
    public async Task Forwarder_gets_no_stream_to_an_HTTP_service()
    {
        var (_, addresses) = await fixture.Cluster.StartForwarderAsync("app");
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPEndPoint.Parse(addresses[0]), Cancelled);
        await socket.SendAsync("GET /seen HTTP/1.1\r\nHost: app\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"u8.ToArray(), Cancelled);

        var answer = Encoding.Latin1.GetString(await ReceiveAsync(socket));

        Assert.DoesNotContain("HTTP/1.1 200", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("6.6.6.6", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Service_that_is_changed_or_removed_is_so_without_a_restart()
    {
        await fixture.Cluster.AdminAsync("service", "add", "passing", "--hostname", TunnelCluster.HostnameOf("passing"), "--tunnel", TunnelCluster.Tunnel, "--protocol", "http", "--access", "public");
        await fixture.UntilStateIsReadAsync();
        using var client = fixture.Client(withToken: false);

        async Task<string> AskAsync()
        {
            using var answer = await client.GetAsync(fixture.UriOf("passing"), Cancelled);
            return answer.Headers.TryGetValues("Tunnel-Error", out var error) ? $"{(int)answer.StatusCode} {error.Single()}" : $"{(int)answer.StatusCode}";
        }

        Assert.Equal("503 connector/offline", await AskAsync());
        await fixture.SetAsync("passing", "--access", "service-token");
        await fixture.UntilStateIsReadAsync();
        Assert.Equal("403 ingress/token-refused", await AskAsync());
        await fixture.SetAsync("passing", "--protocol", "tcp");
        await fixture.UntilStateIsReadAsync();
        Assert.Equal("403 ingress/token-refused", await AskAsync());
        await fixture.Cluster.AdminAsync("service", "remove", "passing");
        await fixture.UntilStateIsReadAsync();
        Assert.Equal("404 ingress/unknown-hostname", await AskAsync());
    }

    [Fact]
    public async Task Host_header_is_the_hostname_or_what_was_set()
    {
        using var client = fixture.Client();
        Assert.Equal(fixture.UriOf("app").Authority, await HostAsync());
        await fixture.SetAsync("app", "--host-header", "app.internal:8080");
        await fixture.UntilStateIsReadAsync();
        Assert.Equal("app.internal:8080", await HostAsync());
        await fixture.SetAsync("app", "--host-header", "keep");
        await fixture.UntilStateIsReadAsync();
        Assert.Equal(fixture.UriOf("app").Authority, await HostAsync());

        async Task<string?> HostAsync()
        {
            using var document = JsonDocument.Parse(await client.GetStringAsync(fixture.UriOf("app", "/seen"), Cancelled));
            Assert.Equal(fixture.UriOf("app").Authority, document.RootElement.GetProperty("headers").GetProperty("X-Forwarded-Host").GetString());
            return document.RootElement.GetProperty("host").GetString();
        }
    }

    private static async Task<byte[]> ReceiveAsync(Socket socket)
    {
        try
        {
            return await socket.ReceiveToEndAsync();
        }
        catch (SocketException)
        {
            // It was reset: nothing came.
            return [];
        }
    }

    private static async Task<(string Id, string Secret)> ReadAsync(string file)
    {
        using var document = JsonDocument.Parse(await File.ReadAllTextAsync(file, Cancelled));
        return (document.RootElement.GetProperty("clientId").GetString()!, document.RootElement.GetProperty("clientSecret").GetString()!);
    }

    private HttpRequestMessage Request(string path, string version) =>
        new(HttpMethod.Get, fixture.UriOf("secure", path)) { Version = new Version(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact };
}
