using System.Net;
using System.Net.WebSockets;
using System.Security.Authentication;
using Shared.Streams.Access;
using Shared.Streams.Protocol;

namespace Shared.Streams.Dialing;

/// <summary>
/// Opens authenticated WebSockets to an ingress: the one place where Access headers are set, the proxy of the environment is
/// honoured (HTTPS_PROXY, NO_PROXY …) and a failure is given its hop. Safe for concurrent use.
/// </summary>
public sealed class WebSocketDialer : IDisposable
{
    // So that the connection of a request is known when its TLS handshake is over.
    private static readonly HttpRequestOptionsKey<AdaptedStream> Connection = new("connection");

    private readonly WebSocketDialerOptions _options;
    private readonly HttpMessageInvoker _invoker;

    /// <summary>Creates a dialer; connections are made on demand, one per WebSocket.</summary>
    public WebSocketDialer(WebSocketDialerOptions options)
    {
        _options = options;
        var tls = options.Trust.ClientOptions(serverName: null);
        _invoker = new HttpMessageInvoker(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            ConnectTimeout = options.Timeout,
            SslOptions = tls,
            ConnectCallback = ConnectAsync,
            PlaintextStreamFilter = static (context, _) =>
            {
                // Through a proxy, this is the proxy's CONNECT, and the handshake comes only after it: such a connection steps aside always.
                if (context.InitialRequestMessage.Method != HttpMethod.Connect
                    && context.InitialRequestMessage.Options.TryGetValue(Connection, out var connection))
                {
                    connection.StepsAside = false;
                }

                return new(context.PlaintextStream);
            },
        });
    }

    /// <summary>Opens one WebSocket.</summary>
    /// <param name="uri">wss, or ws where the caller has allowed it.</param>
    /// <param name="headers">Further request headers.</param>
    /// <param name="pings">True on a control channel: ping, and fail when no pong comes back.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>The WebSocket and the headers of the answer.</returns>
    /// <exception cref="DialException">It could not be opened.</exception>
    public async ValueTask<(WebSocket WebSocket, IReadOnlyDictionary<string, IEnumerable<string>> Headers)> DialAsync(
        Uri uri, IReadOnlyList<KeyValuePair<string, string>> headers, bool pings, CancellationToken cancellationToken)
    {
        var token = await _options.Token.GetAsync(cancellationToken);
        var client = new ClientWebSocket();
        using var deadline = new CancellationTokenSource(_options.Timeout, _options.Time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        try
        {
            client.Options.CollectHttpResponseDetails = true;
            client.Options.KeepAliveInterval = pings ? TunnelProtocol.PingInterval : TunnelProtocol.DataKeepAlive;
            client.Options.KeepAliveTimeout = pings ? TunnelProtocol.PingTimeout : Timeout.InfiniteTimeSpan;
            client.Options.SetRequestHeader(AccessHeaders.ClientId, token.ClientId);
            client.Options.SetRequestHeader(AccessHeaders.ClientSecret, token.ClientSecret);
            foreach (var (name, value) in headers)
            {
                client.Options.SetRequestHeader(name, value);
            }

            await client.ConnectAsync(uri, _invoker, limit.Token);
            var answer = client.HttpResponseHeaders ?? new Dictionary<string, IEnumerable<string>>();
            client.HttpResponseHeaders = null;
            return (client, answer);
        }
        catch (Exception exception) when (exception is WebSocketException
            || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            var failure = Failure(uri, client, exception);
            client.Dispose();
            throw failure;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _invoker.Dispose();

    // With a proxy the end point is the proxy's, which ConnectTo must not replace.
    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var asked = context.DnsEndPoint;
        var direct = asked.Host == context.InitialRequestMessage.RequestUri?.IdnHost;
        var (host, port) = direct && _options.ConnectTo is { } other ? other : new HostAndPort(asked.Host, asked.Port);
        var socket = await TcpConnector.ConnectAsync(host, port, _options.Timeout, _options.Time, cancellationToken);
        var connection = new AdaptedStream(socket, leaveOpen: false, _options.Time) { StepsAside = true };
        context.InitialRequestMessage.Options.Set(Connection, connection);
        await Task.Yield();
        return connection;
    }

    private DialException Failure(Uri uri, ClientWebSocket client, Exception exception)
    {
        if (client.HttpStatusCode is not 0 and not HttpStatusCode.SwitchingProtocols)
        {
            return IngressRefusal.From(uri, client.HttpStatusCode, client.HttpResponseHeaders, exception);
        }

        for (var cause = exception; cause is not null; cause = cause.InnerException)
        {
            switch (cause)
            {
                case DialException dial:
                    return dial;
                case AuthenticationException:
                    return _options.Trust.Failure(uri.Host, cause);
                case HttpRequestException { HttpRequestError: HttpRequestError.ProxyTunnelError }:
                    return new DialException(Hop.Proxy, "refused", $"The HTTP proxy does not let us through to {uri.Authority}: {cause.Message} Check HTTPS_PROXY and NO_PROXY.", exception);
                case HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } when cause.InnerException is null or IOException:
                    return _options.Trust.Failure(uri.Host, cause);
                case OperationCanceledException:
                    return new DialException(Hop.Ingress, "timeout", $"{uri.Authority} did not answer the upgrade within {_options.Timeout.TotalSeconds:0.#} s.", exception);
                default:
                    break;
            }
        }

        return new DialException(Hop.Ingress, "no-upgrade", $"{uri.Authority} did not answer as a tunnel ingress: {exception.GetBaseException().Message}", exception);
    }
}
