using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text.Json;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>A tunnel hostname as any WebSocket TCP client sees it: no header of ours beside the token.</summary>
public sealed class HostnameTests(ClusterFixture fixture)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Bytes_flow_in_messages_of_any_size_and_fragmentation_and_come_back_whole()
    {
        using var client = await ConnectAsync("raw");
        using var target = await AcceptAsync();
        var data = RandomNumberGenerator.GetBytes(1_000_000);

        var sending = Task.Run(async () =>
        {
            var random = new Random(3);
            for (var sent = 0; sent < data.Length;)
            {
                var size = Math.Min(data.Length - sent, random.Next(1 << random.Next(18)) + 1);
                await client.SendAsync(data.AsMemory(sent, size), WebSocketMessageType.Binary, endOfMessage: random.Next(3) == 0, Cancelled);
                sent += size;
            }

            await client.SendAsync(ReadOnlyMemory<byte>.Empty, WebSocketMessageType.Binary, endOfMessage: true, Cancelled);
        }, Cancelled);
        var arrived = await target.ReceiveExactlyAsync(data.Length);
        await sending;
        Assert.Equal(data, arrived);

        for (var sent = 0; sent < data.Length;)
        {
            sent += await target.SendAsync(data.AsMemory(sent), Cancelled);
        }

        var back = new MemoryStream();
        var buffer = new byte[128 * 1024];
        while (back.Length < data.Length)
        {
            var received = await client.ReceiveAsync(buffer.AsMemory(), Cancelled).AsTask().WaitAsync(Patience, Cancelled);
            Assert.Equal(WebSocketMessageType.Binary, received.MessageType);
            Assert.True(received.EndOfMessage);
            Assert.InRange(received.Count, 1, 64 * 1024);
            await back.WriteAsync(buffer.AsMemory(0, received.Count), Cancelled);
        }

        Assert.Equal(data, back.ToArray());
    }

    [Fact]
    public async Task Empty_message_is_no_end()
    {
        using var client = await ConnectAsync("raw");
        using var target = await AcceptAsync();

        await client.SendAsync(ReadOnlyMemory<byte>.Empty, WebSocketMessageType.Binary, endOfMessage: true, Cancelled);
        await client.SendAsync("x"u8.ToArray(), WebSocketMessageType.Binary, endOfMessage: true, Cancelled);

        Assert.Equal("x"u8.ToArray(), await target.ReceiveExactlyAsync(1));
    }

    [Fact]
    public async Task Close_frame_and_FIN_mean_each_other()
    {
        using var client = await ConnectAsync("raw");
        using var target = await AcceptAsync();
        target.Shutdown(SocketShutdown.Send);

        var received = await client.ReceiveAsync(new byte[16].AsMemory(), Cancelled).AsTask().WaitAsync(Patience, Cancelled);
        Assert.Equal(WebSocketMessageType.Close, received.MessageType);
        await client.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, Cancelled);

        Assert.Equal(0, await target.ReceiveAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
    }

    [Fact]
    public async Task Client_that_vanishes_has_ended_normally()
    {
        using var client = await ConnectAsync("raw");
        using var target = await AcceptAsync();
        await client.SendAsync("bye"u8.ToArray(), WebSocketMessageType.Binary, endOfMessage: true, Cancelled);
        Assert.Equal("bye"u8.ToArray(), await target.ReceiveExactlyAsync(3));

        client.Abort();

        Assert.Equal(0, await target.ReceiveAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
    }

    [Fact]
    public async Task Text_message_aborts_the_stream()
    {
        using var client = await ConnectAsync("raw");
        using var target = await AcceptAsync();

        await client.SendAsync("text"u8.ToArray(), WebSocketMessageType.Text, endOfMessage: true, Cancelled);

        await Assert.ThrowsAsync<SocketException>(() => target.ReceiveAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
    }

    [Theory]
    [InlineData("refusing", 502, "target/connection-refused")]
    [InlineData("unresolvable", 502, "target/not-resolved")]
    [InlineData("silent", 502, "target/timeout")]
    [InlineData("", 404, "ingress/unknown-hostname")]
    public async Task Failure_has_its_status_and_names_the_hop(string service, int status, string error)
    {
        using var answer = await UpgradeAsync(service, await TokenAsync(fixture.Cluster.ApplicationToken));

        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal(error, Assert.Single(answer.Headers.GetValues("Tunnel-Error")));
        Assert.DoesNotContain("127.0.0.1", await answer.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Service_whose_connector_is_missing_is_503()
    {
        await fixture.Cluster.AdminAsync("service", "add", "lonely", "--hostname", TunnelCluster.HostnameOf("lonely"), "--tunnel", TunnelCluster.Tunnel);
        var token = await NewTokenAsync("--access", "lonely");
        await UntilTokensAreKnownAsync();

        using var answer = await UpgradeAsync("lonely", token);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("connector/offline", Assert.Single(answer.Headers.GetValues("Tunnel-Error")));
    }

    [Fact]
    public async Task Every_refused_token_gets_the_same_answer_and_never_a_redirect()
    {
        var (id, secret) = await TokenAsync(fixture.Cluster.ApplicationToken);
        var revoked = await NewTokenAsync("--access", "db");
        await fixture.Cluster.AdminAsync("token", "revoke", revoked.Id);
        var expired = await NewTokenAsync("--access", "db", "--expires", "1s");
        var elsewhere = await NewTokenAsync("--access", "raw");
        var connector = await TokenAsync(fixture.Cluster.ConnectorToken);
        await UntilTokensAreKnownAsync();
        await Task.Delay(TimeSpan.FromSeconds(1.5), Cancelled);
        (string Id, string Secret)[] refused =
        [
            ("", ""), (id, ""), ("", secret), (id, "tunnel_wrong"), (id, secret + "x"), ("0123.access", secret), (new string('a', 2000), secret), (id, new string('s', 2000)),
            revoked, expired, elsewhere, connector,
        ];

        var answers = new List<string>();
        foreach (var token in refused)
        {
            using var answer = await UpgradeAsync("db", token);
            Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
            answer.Headers.Date = null;
            answers.Add($"{answer.Headers}{answer.Content.Headers}{await answer.Content.ReadAsStringAsync(Cancelled)}");
        }

        Assert.Single(answers.Distinct());
    }

    [Fact]
    public async Task Request_that_is_no_upgrade_is_426_and_only_with_a_good_token()
    {
        using var http = Http();
        using var request = new HttpRequestMessage(HttpMethod.Get, Uri("db"));
        var (id, secret) = await TokenAsync(fixture.Cluster.ApplicationToken);
        request.Headers.Add("CF-Access-Client-Id", id);
        request.Headers.Add("CF-Access-Client-Secret", secret);

        using var answer = await http.SendAsync(request, Cancelled);
        using var without = await http.GetAsync(Uri("db"), Cancelled);

        Assert.Equal((HttpStatusCode.UpgradeRequired, HttpStatusCode.Forbidden), (answer.StatusCode, without.StatusCode));
    }

    [Fact]
    public async Task Management_is_not_reachable_over_the_public_address_whatever_the_host_header_says()
    {
        using var http = Http();
        foreach (var path in new[] { "/metrics", "/healthz", "/readyz", "/connectors" })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"https://localhost:{fixture.Cluster.Port}{path}"));
            request.Headers.Host = fixture.Cluster.Management.Authority;
            using var answer = await http.SendAsync(request, Cancelled);
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        }

        using var client = await ConnectAsync("raw");
        using var target = await AcceptAsync();
        Assert.StartsWith("ready", await http.GetStringAsync(new Uri(fixture.Cluster.Management, "/readyz"), Cancelled), StringComparison.Ordinal);
        Assert.Contains("tunnel_ingress_streams_opened", await http.GetStringAsync(new Uri(fixture.Cluster.Management, "/metrics"), Cancelled), StringComparison.Ordinal);
    }

    private async Task<ClientWebSocket> ConnectAsync(string service)
    {
        var client = new ClientWebSocket();
        var (id, secret) = await TokenAsync(fixture.Cluster.ApplicationToken);
        client.Options.SetRequestHeader("cf-access-client-id", id);
        client.Options.SetRequestHeader("cf-access-client-secret", secret);
        client.Options.CollectHttpResponseDetails = true;
        using var invoker = new HttpMessageInvoker(ClusterHttp.Handler(fixture.Cluster), disposeHandler: false);
        await client.ConnectAsync(new UriBuilder(Uri(service)) { Scheme = "wss" }.Uri, invoker, Cancelled);
        Assert.DoesNotContain("Tunnel-Protocol", client.HttpResponseHeaders!.Keys);
        return client;
    }

    private Task<Socket> AcceptAsync() => fixture.RawTarget.AcceptSocketAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled);

    private async Task<HttpResponseMessage> UpgradeAsync(string service, (string Id, string Secret) token)
    {
        var http = Http();
        using var request = new HttpRequestMessage(HttpMethod.Get, Uri(service)) { Version = HttpVersion.Version11 };
        request.Headers.Connection.Add("Upgrade");
        request.Headers.Upgrade.Add(new ProductHeaderValue("websocket"));
        request.Headers.Add("Sec-WebSocket-Version", "13");
        request.Headers.Add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        request.Headers.TryAddWithoutValidation("CF-Access-Client-Id", token.Id);
        request.Headers.TryAddWithoutValidation("CF-Access-Client-Secret", token.Secret);
        return await http.SendAsync(request, HttpCompletionOption.ResponseContentRead, Cancelled);
    }

    /// <summary>Waits until the ingress has read all tokens that were made.</summary>
    private async Task UntilTokensAreKnownAsync()
    {
        var tokens = (await fixture.Cluster.AdminAsync("token", "list")).GetArrayLength();
        await fixture.Cluster.Ingress.WaitForAsync("StateChanged", seen => int.Parse(seen["Tokens"], System.Globalization.CultureInfo.InvariantCulture) >= tokens);
    }

    private async Task<(string Id, string Secret)> NewTokenAsync(params string[] arguments)
    {
        var created = await fixture.Cluster.AdminAsync(["token", "create", $"t{Guid.NewGuid():N}", .. arguments]);
        return (created.GetProperty("clientId").GetString()!, created.GetProperty("clientSecret").GetString()!);
    }

    private static async Task<(string Id, string Secret)> TokenAsync(string file)
    {
        using var document = JsonDocument.Parse(await File.ReadAllTextAsync(file, Cancelled));
        return (document.RootElement.GetProperty("clientId").GetString()!, document.RootElement.GetProperty("clientSecret").GetString()!);
    }

    // The development certificate covers localhost, which is no service's hostname.
    private Uri Uri(string service) =>
        new($"https://{(service.Length == 0 ? "localhost" : TunnelCluster.HostnameOf(service))}:{fixture.Cluster.Port}/");

    private HttpClient Http() => new(ClusterHttp.Handler(fixture.Cluster));
}
