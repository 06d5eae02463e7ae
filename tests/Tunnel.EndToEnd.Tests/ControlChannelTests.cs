using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Shared.Streams.Access;
using Shared.Streams.Dialing;
using Shared.Streams.Protocol;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>A connector that misbehaves on purpose, against the real ingress: it is answered, cut, and nothing else is disturbed.</summary>
public sealed class ControlChannelTests(ClusterFixture fixture) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private WebSocketDialer _dialer = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        _dialer = Dialer(fixture.Cluster.ConnectorToken);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        _dialer.Dispose();
        Assert.Equal("1\n", (await fixture.RunAsync("ingress TCP", "psql", ["-Atc", "select 1"])).EnsureSuccess().Output);
    }

    [Theory]
    [InlineData("not json", "protocol-error")]
    [InlineData("{}", "protocol-error")]
    [InlineData("""{"type":"drain"}""", "protocol-error")]
    [InlineData("""{"type":"register","version":1,"connector":"","services":[]}""", "protocol-error")]
    [InlineData("""{"type":"register","version":1,"connector":"x","services":[""]}""", "protocol-error")]
    [InlineData("""{"type":"register","version":1,"connector":"x","services":[null]}""", "protocol-error")]
    [InlineData("""{"type":"register","version":1,"connector":"x","services":[],"name":""}""", "protocol-error")]
    [InlineData("""{"type":"register","version":1,"connector":"x","services":[],"name":"a b\\n"}""", "protocol-error")]
    [InlineData("""{"type":"register","version":1,"connector":"x","services":[],"name":"a23456789012345678901234567890123456789012345678901234567890123x"}""", "protocol-error")]
    [InlineData("""{"type":"register","version":1,"connector":"x","services":[],"name":1}""", "protocol-error")]
    [InlineData("""{"type":"register","version":2,"connector":"x","services":[]}""", "unsupported-version")]
    public async Task Bad_registration_is_refused_with_a_reason(string message, string code)
    {
        using var control = await DialAsync(TunnelProtocol.ControlPath);
        await SendAsync(control, message);

        var answer = await ReceiveAsync(control);

        Assert.NotNull(answer);
        Assert.Equal(("refused", code), (answer.RootElement.GetProperty("type").GetString(), answer.RootElement.GetProperty("code").GetString()));
        Assert.Null(await ReceiveAsync(control));
    }

    [Fact]
    public async Task Connector_from_before_names_is_registered_without_one()
    {
        using var control = await DialAsync(TunnelProtocol.ControlPath);
        await SendAsync(control, """{"type":"register","version":1,"connector":"of-before","services":[]}""");
        Assert.Equal("registered", (await ReceiveAsync(control))!.RootElement.GetProperty("type").GetString());

        using var http = new HttpClient();
        using var shown = JsonDocument.Parse(await http.GetStringAsync(new Uri(fixture.Cluster.Management, "/connectors"), Cancelled));
        var row = Assert.Single(shown.RootElement.EnumerateArray(), static row => row.GetProperty("connector").GetString() == "of-before");
        Assert.Equal(JsonValueKind.Null, row.GetProperty("name").ValueKind);
        Assert.Equal("-", (await fixture.Cluster.Ingress.WaitForAsync("ConnectorOnline", static seen => seen["Connector"] == "of-before"))["Name"]);
    }

    [Fact]
    public async Task Oversized_message_ends_the_channel()
    {
        using var control = await DialAsync(TunnelProtocol.ControlPath);

        await SendAsync(control, $$"""{"type":"register","version":1,"connector":"{{new string('x', TunnelProtocol.MaxControlMessage)}}","services":[]}""");

        Assert.Equal("refused", (await ReceiveAsync(control))!.RootElement.GetProperty("type").GetString());
        Assert.Null(await ReceiveAsync(control));
    }

    [Theory]
    [InlineData("""{"type":"register","version":1,"connector":"again","services":[]}""")]
    [InlineData("""{"type":"registered","session":"x","tunnel":"vpc"}""")]
    [InlineData("""{"type":"announce","services":["a name that is far too long for any service that there could ever be in a tunnel"]}""")]
    [InlineData("garbage")]
    public async Task Bad_message_after_the_registration_ends_the_session(string message)
    {
        using var control = await RegisterAsync();

        await SendAsync(control, message);

        Assert.Null(await ReceiveAsync(control));
    }

    [Fact]
    public async Task Connector_that_pushes_binary_data_on_its_control_channel_is_cut()
    {
        using var control = await RegisterAsync();

        await control.SendAsync(new byte[10], WebSocketMessageType.Binary, endOfMessage: true, Cancelled);

        Assert.Null(await ReceiveAsync(control));
    }

    [Theory]
    [InlineData("")]
    [InlineData("00000000000000000000000000000000")]
    public async Task Data_channel_without_a_session_of_its_token_is_refused(string session)
    {
        var exception = await Assert.ThrowsAsync<DialException>(
            () => DialAsync(TunnelProtocol.DataPath, new KeyValuePair<string, string>(TunnelProtocol.SessionHeader, session)));

        Assert.Equal((Hop.Ingress, 403), (exception.Hop, exception.Status!.Value));
    }

    [Fact]
    public async Task Data_channel_with_somebody_elses_session_is_refused()
    {
        var online = await fixture.Cluster.Ingress.WaitForAsync("ConnectorOnline");
        var other = Path.Combine(fixture.Cluster.Directory, $"other-{Guid.NewGuid():N}.token");
        await fixture.Cluster.AdminAsync("token", "create", "other", "--connect", TunnelCluster.Tunnel, "--output", other);
        await KnownAsync(other);
        using var dialer = Dialer(other);

        var exception = await Assert.ThrowsAsync<DialException>(
            () => DialAsync(TunnelProtocol.DataPath, new KeyValuePair<string, string>(TunnelProtocol.SessionHeader, online["Session"]), dialer));

        Assert.Equal(403, exception.Status);
    }

    [Fact]
    public async Task Connectors_of_one_tunnel_leave_room_for_those_of_others()
    {
        const int Most = 64;
        var token = Path.Combine(fixture.Cluster.Directory, "crowded.token");
        await fixture.Cluster.AdminAsync("tunnel", "add", "crowded");
        await fixture.Cluster.AdminAsync("token", "create", "crowded", "--connect", "crowded", "--output", token);
        await KnownAsync(token);
        using var dialer = Dialer(token);
        var crowd = new List<WebSocket>();
        for (var i = 0; i < Most; i++)
        {
            crowd.Add(await RegisterAsync(dialer));
        }

        using var late = await DialAsync(TunnelProtocol.ControlPath, dialer: dialer);
        await SendAsync(late, Registration("late"));
        var refusal = (await ReceiveAsync(late))!.RootElement;

        Assert.Equal(("refused", "limited"), (refusal.GetProperty("type").GetString(), refusal.GetProperty("code").GetString()));
        Assert.Contains("Limits:MaxConnectorsPerTunnel", refusal.GetProperty("message").GetString(), StringComparison.Ordinal);
        using var other = await RegisterAsync();
        crowd.ForEach(static control => control.Dispose());
    }

    [Fact]
    public async Task Names_of_any_number_and_kind_are_told_in_one_message_and_logged_in_one_line()
    {
        using var control = await DialAsync(TunnelProtocol.ControlPath);

        // Nothing takes more room in the answer.
        var longest = Enumerable.Range(10, 89).Select(static i => new string('"', 59) + $"\u009b\n{i}");
        await SendAsync(control, Registration("talkative", [.. longest, .. Enumerable.Range(100, 910).Select(static i => $"_{i}"), "nobodys"]));

        Assert.Equal("registered", (await ReceiveAsync(control))!.RootElement.GetProperty("type").GetString());
        var rejected = (await ReceiveAsync(control))!.RootElement.GetProperty("rejected");
        Assert.Equal(50, rejected.GetArrayLength());
        Assert.Equal(new string('"', 59) + "??10", rejected[0].GetProperty("service").GetString());
        Assert.Contains("is not a service name. Use 1 to 63", rejected[0].GetProperty("reason").GetString(), StringComparison.Ordinal);
        var line = await fixture.Cluster.Ingress.WaitForAsync("ServicesRejected", static seen => seen["Connector"] == "talkative");
        Assert.Equal("1000", line["Count"]);
        Assert.StartsWith("\"", line["Service"], StringComparison.Ordinal);
        Assert.Equal(1, fixture.Cluster.Ingress.Count("ServicesRejected", static seen => seen["Connector"] == "talkative"));
        Assert.DoesNotContain('"', (await fixture.Cluster.Ingress.WaitForAsync("ConnectorOnline", static seen => seen["Services"] == "nobodys"))["Services"]);
    }

    [Fact]
    public async Task Flood_of_announcements_and_drains_is_few_lines_and_its_last_word_counts()
    {
        static bool IsIts(LogEvent seen) => seen["Connector"] == "flooding";
        using var control = await RegisterAsync(connector: "flooding");
        var start = Stopwatch.GetTimestamp();

        for (var i = 0; i < 2000; i++)
        {
            await SendAsync(control, $$"""{"type":"announce","services":["flood-{{i}}"]}""");
            await SendAsync(control, """{"type":"drain"}""");
        }

        string? told;
        do
        {
            told = (await ReceiveAsync(control))!.RootElement.GetProperty("rejected")[0].GetProperty("service").GetString();
        }
        while (told != "flood-1999");

        await fixture.Cluster.Ingress.WaitForAsync("ConnectorDraining", IsIts);
        await fixture.Cluster.Ingress.WaitForAsync("ServicesRejected", IsIts);
        await Task.Delay(500, Cancelled);
        var lines = fixture.Cluster.Ingress.Count("ServicesRejected", IsIts) + fixture.Cluster.Ingress.Count("ConnectorDraining", IsIts);
        Assert.InRange(lines, 2, 3 + (int)Stopwatch.GetElapsedTime(start).TotalSeconds);
    }

    [Fact]
    public async Task Code_that_a_connector_makes_up_becomes_no_label_and_no_header()
    {
        var service = $"odd-{Guid.NewGuid():N}";
        await fixture.Cluster.AdminAsync("service", "add", service, "--hostname", TunnelCluster.HostnameOf(service), "--tunnel", TunnelCluster.Tunnel);
        var token = Path.Combine(fixture.Cluster.Directory, $"{service}.token");
        await fixture.Cluster.AdminAsync("token", "create", service, "--access", service, "--output", token);
        await KnownAsync(token);
        using var control = await DialAsync(TunnelProtocol.ControlPath);
        await SendAsync(control, Registration("misbehaving", service));
        var session = (await ReceiveAsync(control))!.RootElement.GetProperty("session").GetString()!;
        using var data = await DialAsync(TunnelProtocol.DataPath, new KeyValuePair<string, string>(TunnelProtocol.SessionHeader, session));
        using var application = Dialer(token);

        var asking = application.DialAsync(
            new UriBuilder("wss", "localhost", fixture.Cluster.Port, "/") { Host = TunnelCluster.HostnameOf(service) }.Uri, [], pings: false, Cancelled).AsTask();
        Assert.Equal("open", (await ReceiveAsync(data))!.RootElement.GetProperty("type").GetString());
        await SendAsync(data, $$"""{"type":"refused","code":"made-up-{{service}}","message":"No."}""");
        var failure = await Assert.ThrowsAsync<DialException>(() => asking);

        Assert.Equal((Hop.Target, "other"), (failure.Hop, failure.Code));
        Assert.Contains($"made-up-{service}: No.", failure.Message, StringComparison.Ordinal);
        using var http = new HttpClient();
        var metrics = await http.GetStringAsync(new Uri(fixture.Cluster.Management, "/metrics"), Cancelled);
        Assert.DoesNotContain("made-up", metrics, StringComparison.Ordinal);
        Assert.Contains("code=\"other\"", metrics, StringComparison.Ordinal);
    }

    private static string Registration(string connector, params string[] services) =>
        JsonSerializer.Serialize(new { type = "register", version = 1, connector, services });

    /// <summary>Waits until the ingress has read the state with the token of a file.</summary>
    private async Task KnownAsync(string tokenFile)
    {
        var (id, _) = await CarrierClient.ReadTokenAsync(tokenFile);
        await fixture.Cluster.Ingress.WaitForAsync("Administered", seen => seen["Name"] == id);
    }

    private async Task<WebSocket> RegisterAsync(WebSocketDialer? dialer = null, string connector = "misbehaving")
    {
        var control = await DialAsync(TunnelProtocol.ControlPath, dialer: dialer);
        await SendAsync(control, Registration(connector));
        Assert.Equal("registered", (await ReceiveAsync(control))!.RootElement.GetProperty("type").GetString());
        return control;
    }

    private async Task<WebSocket> DialAsync(string path, KeyValuePair<string, string>? header = null, WebSocketDialer? dialer = null)
    {
        var uri = new Uri($"wss://localhost:{fixture.Cluster.Port}{path}");
        var (webSocket, _) = await (dialer ?? _dialer).DialAsync(uri, header is { } one ? [one] : [], pings: false, Cancelled);
        return webSocket;
    }

    private WebSocketDialer Dialer(string tokenFile) => new(new WebSocketDialerOptions
    {
        Token = ServiceTokenFile.Open(tokenFile, static _ => { }),
        Trust = CertificateTrust.FromFile(fixture.Cluster.CaFile),
    });

    private static Task SendAsync(WebSocket webSocket, string text) =>
        webSocket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, endOfMessage: true, Cancelled);

    /// <summary>The next message, or null when the channel has ended.</summary>
    private static async Task<JsonDocument?> ReceiveAsync(WebSocket webSocket)
    {
        var buffer = new byte[TunnelProtocol.MaxControlMessage];
        try
        {
            for (var count = 0; ;)
            {
                var received = await webSocket.ReceiveAsync(buffer.AsMemory(count), Cancelled).AsTask().WaitAsync(Patience, Cancelled);
                count += received.Count;
                if (received.EndOfMessage)
                {
                    return received.MessageType == WebSocketMessageType.Close ? null : JsonDocument.Parse(buffer.AsMemory(0, count));
                }

                Assert.True(count < buffer.Length, "a message over the limit");
            }
        }
        catch (WebSocketException)
        {
            return null;
        }
    }
}
