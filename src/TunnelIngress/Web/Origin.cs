using System.Text;
using TunnelIngress.State;
using TunnelIngress.Streams;
using Yarp.ReverseProxy.Forwarder;

namespace TunnelIngress.Web;

/// <summary>
/// One service's target as a web server: an HTTP client whose connections are streams of the service's tunnel. The client keeps and shares
/// them among all callers; TLS, where the target speaks it, is between the client and the target. Safe for concurrent use.
/// Previous stop of a byte: YARP's forwarder. Next stop: <see cref="StreamService"/>.
/// </summary>
internal sealed class Origin
{
    private const int MaxHeaderKilobytes = 64;
    private const int StreamWindow = 512 * 1024;

    private static readonly TimeSpan IdleConnection = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ConnectionLifetime = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Reserve = TimeSpan.FromSeconds(5);

    private readonly StreamService _streams;
    private readonly TimeSpan _openTimeout;
    private readonly TimeProvider _time;
    private volatile HttpMessageInvoker _client;

    /// <param name="service">The service; it must speak HTTP.</param>
    /// <param name="streams">Opens its streams.</param>
    /// <param name="openTimeout">The limit of opening one.</param>
    /// <param name="publicPorts">Ports that clients come to, beside those that are listened on.</param>
    /// <param name="trustsClient">The client is our operator's own proxy.</param>
    /// <param name="time">The clock.</param>
    public Origin(Service service, StreamService streams, TimeSpan openTimeout, IReadOnlyList<int> publicPorts, bool trustsClient, TimeProvider time)
    {
        (Service, _streams, _openTimeout, _time) = (service, streams, openTimeout, time);
        Web = service.Web ?? throw new ArgumentException("The service speaks no HTTP.", nameof(service));
        Transformer = new OriginTransformer(service, Web, publicPorts, trustsClient);
        Prefix = $"{(Web.Tls ? "https" : "http")}://{service.Hostname}";

        // Where the target speaks HTTP/2, the TLS handshake says so.
        Request = new ForwarderRequestConfig { ActivityTimeout = Web.IdleTimeout };
        _client = CreateClient();
    }

    public Service Service { get; }

    public WebOrigin Web { get; }

    public string Prefix { get; }

    public ForwarderRequestConfig Request { get; }

    public HttpTransformer Transformer { get; }

    /// <summary>Sends requests; ask for it at each one.</summary>
    public HttpMessageInvoker Client => _client;

    /// <summary>Opens new connections from here on.</summary>
    /// <returns>The client before; its idle connections end when it is disposed of, the others after their requests.</returns>
    public IDisposable Renew() => Interlocked.Exchange(ref _client, CreateClient());

    private HttpMessageInvoker CreateClient()
    {
        var handshake = Web.Tls ? new OriginHandshake(Service.Name, ServerName, Web, _time) : null;
        return new HttpMessageInvoker(new OnceHandler(new SocketsHttpHandler
        {
            // A message is passed on, not understood.
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            AutomaticDecompression = System.Net.DecompressionMethods.None,
            ActivityHeadersPropagator = null,
            RequestHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
            ResponseHeaderEncodingSelector = static (_, _) => Encoding.Latin1,

            // A client that leaves takes its connection with it: nobody reads the rest of the answer.
            MaxResponseDrainSize = 0,
            MaxResponseHeadersLength = MaxHeaderKilobytes,
            InitialHttp2StreamWindowSize = StreamWindow,
            EnableMultipleHttp2Connections = true,
            PooledConnectionIdleTimeout = IdleConnection,

            // So that a new replica gets its share.
            PooledConnectionLifetime = ConnectionLifetime,

            // Both steps have limits of their own, which say what it was.
            ConnectTimeout = _openTimeout + OriginHandshake.Timeout + Reserve,
            ConnectCallback = (context, cancellationToken) => ConnectAsync(context, handshake, cancellationToken),
        }));
    }

    private string ServerName => Web.ServerName ?? (Web.HostHeader is { } host ? new HostString(host).Host : Service.Hostname);

    // Of a connection, not of a request: whoever caused it may be gone before the next one uses it.
    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, OriginHandshake? handshake, CancellationToken cancellationToken)
    {
        var stream = _streams.Attach(await _streams.OpenAsync(Service, new StreamCaller(null, $"http {Service.Name}"), early: null, cancellationToken));
        return handshake is null
            ? new PlainOriginStream(stream, _time)
            : await handshake.ConnectAsync(stream, context.InitialRequestMessage.Version.Major >= 2, cancellationToken);
    }
}
