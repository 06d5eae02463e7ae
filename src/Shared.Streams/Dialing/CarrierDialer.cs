using System.Net.Security;
using System.Security.Authentication;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using Shared.Streams.Sockets;
using Shared.Streams.Tls;
using Shared.Streams.WebSockets;

namespace Shared.Streams.Dialing;

/// <summary>
/// Opens authenticated carriers to an ingress: TLS and nothing else where the ingress itself ends the TLS session, which it says by
/// ALPN; a WebSocket behind a proxy of either side. Safe for concurrent use.
/// </summary>
/// <param name="options">How to reach the ingress.</param>
/// <param name="webSockets">Opens WebSockets with the same options.</param>
public sealed class CarrierDialer(WebSocketDialerOptions options, WebSocketDialer webSockets)
{
    private static readonly SslApplicationProtocol ApplicationProtocol = new(TunnelProtocol.CarrierApplicationProtocol);

    private volatile bool _needsWebSocket;

    /// <summary>Opens one carrier.</summary>
    /// <param name="ingress">The ingress.</param>
    /// <param name="session">The session of its control channel.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="DialException">It could not be opened.</exception>
    public async ValueTask<DuplexStream> DialAsync(Uri ingress, string session, CancellationToken cancellationToken)
    {
        if (!_needsWebSocket && ingress.Scheme == Uri.UriSchemeWss && !HasProxy(ingress))
        {
            using var deadline = new CancellationTokenSource(options.Timeout, options.Time);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
            try
            {
                if (await DialTlsAsync(ingress, limit.Token) is { } carrier)
                {
                    await JoinAsync(carrier, session, limit.Token);
                    return carrier;
                }
            }
            catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
            {
                throw new DialException(
                    Hop.Ingress, "timeout", $"{ingress.Authority} did not answer within {options.Timeout.TotalSeconds:0.#} s.", exception);
            }

            // Something between ends the TLS session, or refuses one that is not HTTP.
            _needsWebSocket = true;
        }

        var (webSocket, _) = await webSockets.DialAsync(
            new Uri(ingress, TunnelProtocol.CarrierPath), [new(TunnelProtocol.SessionHeader, session)], pings: false, cancellationToken);
        return new ChannelStream(webSocket);
    }

    private static bool HasProxy(Uri ingress)
    {
        var asHttps = new UriBuilder(ingress) { Scheme = Uri.UriSchemeHttps, Port = ingress.Port }.Uri;
        return HttpClient.DefaultProxy.GetProxy(asHttps) is { } proxy && proxy != asHttps && !HttpClient.DefaultProxy.IsBypassed(asHttps);
    }

    /// <summary>Null when the other side does not speak our application protocol, or the handshake fails; a WebSocket will tell why.</summary>
    private async ValueTask<DuplexStream?> DialTlsAsync(Uri ingress, CancellationToken cancellationToken)
    {
        var (host, port) = options.ConnectTo ?? new HostAndPort(ingress.IdnHost, ingress.Port);
        var socket = await TcpConnector.ConnectAsync(host, port, options.Timeout, options.Time, cancellationToken);
        var tls = options.Trust.ClientOptions(ingress.IdnHost);
        tls.ApplicationProtocols = [ApplicationProtocol, SslApplicationProtocol.Http11];
        TlsStream stream;
        try
        {
            stream = await TlsStream.ConnectAsync(new SocketStream(socket), tls, cancellationToken);
        }
        catch (Exception exception) when (exception is AuthenticationException or IOException)
        {
            return null;
        }

        if (stream.Session.NegotiatedApplicationProtocol == ApplicationProtocol)
        {
            return stream;
        }

        await stream.DisposeAsync();
        return null;
    }

    private async ValueTask JoinAsync(DuplexStream carrier, string session, CancellationToken cancellationToken)
    {
        try
        {
            var token = await options.Token.GetAsync(cancellationToken);
            await CarrierHandshake.SendAsync(carrier, new Join(token.ClientId, token.ClientSecret, session), cancellationToken);
            switch (await CarrierHandshake.ReceiveAsync(carrier, cancellationToken))
            {
                case Joined:
                    return;
                case JoinRefused refused:
                    throw new DialException(Hop.Ingress, ProtocolCodec.OneLine(refused.Code), ProtocolCodec.OneLine(refused.Message));
                case var other:
                    throw new ProtocolException($"{other.GetType().Name} in answer to join");
            }
        }
        catch
        {
            await carrier.DisposeAsync();
            throw;
        }
    }
}
