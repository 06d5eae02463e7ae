using System.Security.Authentication;
using Shared.Streams.Access;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using Shared.Streams.Tls;

namespace Shared.Streams.Dialing;

/// <summary>
/// Opens authenticated carriers that are TLS and nothing else, where the ingress itself ends the TLS session, which it says by ALPN.
/// Safe for concurrent use.
/// </summary>
/// <param name="options">How to reach the ingress.</param>
internal sealed class TlsCarrierDialer(WebSocketDialerOptions options)
{
    /// <summary>An ingress that took no carrier is not asked again before.</summary>
    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromMinutes(5);

    private long _declinedAt;

    /// <summary>Opens one carrier.</summary>
    /// <param name="ingress">The ingress.</param>
    /// <param name="hello">Our first message.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>
    /// Null when something between ends the TLS session, which is then believed for a while, when a proxy is in the way, or when the
    /// handshake fails: a WebSocket will tell why.
    /// </returns>
    /// <exception cref="DialException">The ingress cannot be reached, or refuses.</exception>
    /// <exception cref="IOException">The carrier broke, or the ingress broke the protocol.</exception>
    public async ValueTask<DuplexStream?> TryDialAsync(Uri ingress, Func<ServiceToken, CarrierMessage> hello, CancellationToken cancellationToken)
    {
        if (HasDeclined || ingress.Scheme != Uri.UriSchemeWss || HasProxy(ingress))
        {
            return null;
        }

        using var deadline = new CancellationTokenSource(options.Timeout, options.Time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        try
        {
            if (await ConnectAsync(ingress, limit.Token) is { } carrier)
            {
                await JoinAsync(carrier, ingress, hello, limit.Token);
                return carrier;
            }
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new DialException(
                Hop.Ingress, "timeout", $"{ingress.Authority} did not answer within {options.Timeout.TotalSeconds:0.#} s.", exception);
        }

        return null;
    }

    private bool HasDeclined =>
        Volatile.Read(ref _declinedAt) is var declinedAt and not 0 && options.Time.GetElapsedTime(declinedAt) < AskAgainAfter;

    private static bool HasProxy(Uri ingress)
    {
        var asHttps = new UriBuilder(ingress) { Scheme = Uri.UriSchemeHttps, Port = ingress.Port }.Uri;
        return HttpClient.DefaultProxy.GetProxy(asHttps) is { } proxy && proxy != asHttps && !HttpClient.DefaultProxy.IsBypassed(asHttps);
    }

    private async ValueTask<DuplexStream?> ConnectAsync(Uri ingress, CancellationToken cancellationToken)
    {
        var (host, port) = options.ConnectTo ?? new HostAndPort(ingress.IdnHost, ingress.Port);
        var socket = await TcpConnector.ConnectAsync(host, port, options.Timeout, options.Time, cancellationToken);
        var tls = CarrierTls.Apply(options.Trust.ClientOptions(ingress.IdnHost));
        TlsStream stream;
        try
        {
            stream = await TlsStream.ConnectAsync(socket, tls, cancellationToken);
        }
        catch (Exception exception) when (exception is AuthenticationException or IOException)
        {
            return null;
        }

        if (stream.Session.NegotiatedApplicationProtocol == CarrierTls.ApplicationProtocol)
        {
            return stream;
        }

        Volatile.Write(ref _declinedAt, Math.Max(1, options.Time.GetTimestamp()));
        await stream.DisposeAsync();
        return null;
    }

    private async ValueTask JoinAsync(DuplexStream carrier, Uri ingress, Func<ServiceToken, CarrierMessage> hello, CancellationToken cancellationToken)
    {
        try
        {
            var token = await options.Token.GetAsync(cancellationToken);
            await CarrierHandshake.SendAsync(carrier, hello(token), cancellationToken);
            switch (await CarrierHandshake.ReceiveAsync(carrier, cancellationToken))
            {
                case Joined:
                    return;
                case JoinRefused refused:
                    throw IngressRefusal.From(ingress, Hop.Ingress, refused.Code, refused.Message);
                case var other:
                    throw new ProtocolException($"{other.GetType().Name} in answer to the handshake of a carrier");
            }
        }
        catch
        {
            await carrier.DisposeAsync();
            throw;
        }
    }
}
