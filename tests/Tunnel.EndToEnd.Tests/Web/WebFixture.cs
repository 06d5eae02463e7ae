using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text.Json;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>The tests of HTTP services share one cluster, one nginx and one scripted origin.</summary>
[CollectionDefinition(Name)]
public sealed class WebCollection : ICollectionFixture<WebFixture>
{
    public const string Name = "HTTP services";
}

/// <summary>
/// Services: <c>page</c> (nginx on its Unix socket, public), <c>files</c> (the same on TCP, with a token), <c>app</c> and <c>secure</c>
/// (<see cref="AppOrigin"/> in clear and over TLS), <c>spy</c> (<see cref="SpyOrigin"/>), <c>raw</c> (plain bytes), and some that fail.
/// </summary>
public sealed class WebFixture : IAsyncLifetime
{
    /// <summary>A port that leads to the ingress's, as far as that knows.</summary>
    public const int MappedPort = 9443;

    private readonly TestAuthority _authority = new();
    private readonly TcpListener _deaf = new(IPAddress.Loopback, 0);

    public NginxServer Nginx { get; private set; } = null!;

    public AppOrigin App { get; private set; } = null!;

    public SpyOrigin Spy { get; } = new();

    public TunnelCluster Cluster { get; private set; } = null!;

    /// <summary>The token that accesses every service.</summary>
    public (string Id, string Secret) Token { get; private set; }

    public async ValueTask InitializeAsync()
    {
        Nginx = await NginxServer.StartAsync();
        App = await AppOrigin.StartAsync(_authority);
        _deaf.Start();
        Cluster = await TunnelCluster.StartAsync(new Dictionary<string, string>
        {
            ["page"] = $"unix://{Nginx.SocketPath}",
            ["files"] = $"http://127.0.0.1:{Nginx.Port}",
            ["app"] = $"http://127.0.0.1:{App.HttpPort}",
            ["open-app"] = $"http://127.0.0.1:{App.HttpPort}",
            ["secure"] = $"https://127.0.0.1:{App.HttpsPort}",
            ["insecure"] = $"https://127.0.0.1:{App.HttpsPort}",
            ["untrusted"] = $"https://127.0.0.1:{App.HttpsPort}",
            ["misnamed"] = $"https://127.0.0.1:{App.HttpsPort}",
            ["no-tls"] = $"https://127.0.0.1:{App.HttpPort}",
            ["spy"] = $"tcp://127.0.0.1:{Spy.Port}",
            ["refused"] = "http://127.0.0.1:1",
            ["silent"] = $"tcp://{_deaf.LocalEndpoint}",
            ["slow"] = $"http://127.0.0.1:{App.HttpPort}",
            ["raw"] = $"tcp://127.0.0.1:{Spy.Port}",
        }, "--public-port", $"{MappedPort}");
        var ca = await _authority.WriteRootAsync(Path.Combine(Cluster.Directory, "origin-ca.pem"));
        await SetAsync("page", "--protocol", "http", "--access", "public");
        await SetAsync("files", "--protocol", "http");
        await SetAsync("app", "--protocol", "http");
        await SetAsync("open-app", "--protocol", "http", "--access", "public");
        await SetAsync("secure", "--protocol", "https", "--ca-file", ca, "--server-name", AppOrigin.Name);
        await SetAsync("insecure", "--protocol", "https", "--tls-verify", "off");
        await SetAsync("untrusted", "--protocol", "https", "--server-name", AppOrigin.Name);
        await SetAsync("misnamed", "--protocol", "https", "--ca-file", ca);
        await SetAsync("no-tls", "--protocol", "https", "--ca-file", ca);
        await SetAsync("spy", "--protocol", "http", "--access", "public");
        await SetAsync("refused", "--protocol", "http", "--access", "public");
        await SetAsync("silent", "--protocol", "http", "--access", "public", "--idle-timeout", "2s");
        await SetAsync("slow", "--protocol", "http", "--access", "public", "--idle-timeout", "2s");
        var added = await Cluster.AdminAsync("service", "add", "lonely", "--hostname", TunnelCluster.HostnameOf("lonely"), "--tunnel", TunnelCluster.Tunnel, "--protocol", "http", "--access", "public");
        Assert.Equal("http", added.GetProperty("protocol").GetString());
        Token = await ReadTokenAsync(Cluster.ApplicationToken);
        await UntilStateIsReadAsync();
        await Cluster.StartConnectorAsync();
    }

    /// <summary>Waits until the ingress serves the state as it is now.</summary>
    public async Task UntilStateIsReadAsync()
    {
        // Adding and removing a tunnel makes a number of tunnels that no revision before has had.
        var name = $"mark{Guid.NewGuid():N}"[..20];
        await Cluster.AdminAsync("tunnel", "add", name);
        var tunnels = (await Cluster.AdminAsync("tunnel", "list")).GetArrayLength();
        await Cluster.Ingress.WaitForAsync("StateChanged", seen => int.Parse(seen["Tunnels"], System.Globalization.CultureInfo.InvariantCulture) >= tunnels);
    }

    /// <summary>Changes what a service speaks.</summary>
    public Task<JsonElement> SetAsync(string service, params string[] options) => Cluster.AdminAsync(["service", "set", service, .. options]);

    public static Uri UriOf(string service, int port, string path = "/") => new($"https://{TunnelCluster.HostnameOf(service)}:{port}{path}");

    public Uri UriOf(string service, string path = "/") => UriOf(service, Cluster.Port, path);

    /// <summary>A client that trusts the cluster's CA and finds every name on this host.</summary>
    public HttpClient Client(bool withToken = true)
    {
        var client = new HttpClient(Handler()) { Timeout = TimeSpan.FromMinutes(5) };
        if (withToken)
        {
            client.DefaultRequestHeaders.Add("CF-Access-Client-Id", Token.Id);
            client.DefaultRequestHeaders.Add("CF-Access-Client-Secret", Token.Secret);
        }

        return client;
    }

    public SocketsHttpHandler Handler() => ClusterHttp.Handler(Cluster);

    /// <summary>A TLS connection to the ingress for whoever writes his requests himself.</summary>
    public async Task<SslStream> ConnectAsync(string? serverName, params SslApplicationProtocol[] protocols)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, Cluster.Port, TestContext.Current.CancellationToken);
        var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
        var options = ClusterHttp.Tls(Cluster);
        options.TargetHost = serverName ?? "localhost";
        options.ApplicationProtocols = protocols.Length > 0 ? [.. protocols] : null;
        await tls.AuthenticateAsClientAsync(options, TestContext.Current.CancellationToken);
        return tls;
    }

    /// <summary>A new token.</summary>
    public async Task<(string Id, string Secret)> NewTokenAsync(params string[] options)
    {
        var created = await Cluster.AdminAsync(["token", "create", $"t{Guid.NewGuid():N}", .. options]);
        return (created.GetProperty("clientId").GetString()!, created.GetProperty("clientSecret").GetString()!);
    }

    public async ValueTask DisposeAsync()
    {
        await Cluster.DisposeAsync();
        await App.DisposeAsync();
        await Nginx.DisposeAsync();
        await Spy.DisposeAsync();
        _deaf.Dispose();
        _authority.Dispose();
    }

    private static async Task<(string Id, string Secret)> ReadTokenAsync(string file)
    {
        using var document = JsonDocument.Parse(await File.ReadAllTextAsync(file));
        return (document.RootElement.GetProperty("clientId").GetString()!, document.RootElement.GetProperty("clientSecret").GetString()!);
    }
}
