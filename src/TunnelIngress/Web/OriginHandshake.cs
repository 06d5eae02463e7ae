using System.Net.Security;
using System.Security.Authentication;
using Shared.Streams;
using Shared.Streams.Dialing;
using Shared.Streams.Tls;
using TunnelIngress.State;

namespace TunnelIngress.Web;

/// <summary>
/// TLS from the ingress to a target that speaks it, over a stream of the tunnel: the connector sees ciphertext. One per client, because
/// it remembers which HTTP the target speaks. Safe for concurrent use.
/// </summary>
/// <param name="service">The service's name, for errors.</param>
/// <param name="serverName">The name that the certificate must carry, also sent as SNI.</param>
/// <param name="web">Whom to believe.</param>
/// <param name="time">The clock.</param>
internal sealed class OriginHandshake(string service, string serverName, WebOrigin web, TimeProvider time)
{
    /// <summary>The limit of one handshake.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private readonly CertificateTrust _trust = web.Ca is { } pem ? CertificateTrust.FromPem(pem) : CertificateTrust.System;
    private volatile bool _speaksHttp1Only;

    /// <summary>Shakes hands; takes over the stream.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="wantsHttp2">The request that it is for may be sent in HTTP/2.</param>
    /// <param name="cancellationToken">The client is closed.</param>
    /// <exception cref="DialException">Hop target: the certificate does not verify, or that is no TLS.</exception>
    public async Task<SslStream> ConnectAsync(DuplexStream stream, bool wantsHttp2, CancellationToken cancellationToken)
    {
        var tls = new TlsOriginStream(stream, time);
        using var deadline = new CancellationTokenSource(Timeout, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        try
        {
            await tls.ShakeHandsAsync(Options(wantsHttp2), limit.Token);
        }
        catch (Exception exception)
        {
            await tls.DisposeAsync();
            cancellationToken.ThrowIfCancellationRequested();
            throw FailureOf(exception) ?? exception;
        }

        // Once it has turned HTTP/2 down, the client makes connections for HTTP/1.1, and none of them may become something else.
        _speaksHttp1Only |= wantsHttp2 && tls.NegotiatedApplicationProtocol != SslApplicationProtocol.Http2;
        return tls;
    }

    private SslClientAuthenticationOptions Options(bool wantsHttp2)
    {
        var options = _trust.ClientOptions(serverName);
        options.ApplicationProtocols = wantsHttp2 && !_speaksHttp1Only ? [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11] : [SslApplicationProtocol.Http11];
        if (!web.Verify)
        {
            // Its administrator has said so, for this target and no other.
#pragma warning disable CA5359
            options.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        }

        return options;
    }

    private DialException? FailureOf(Exception exception) => exception switch
    {
        OperationCanceledException => new(
            Hop.Target, "timeout", $"The TLS handshake with the target of service {service} did not finish in time. Does it speak https?", exception),
        _ when CertificateRejectedException.Behind(exception) is { } rejected => new(
            Hop.Target, "certificate-not-trusted",
            $"The certificate of the target of service {service}, asked for as {serverName}, does not verify: {rejected.Message} Renew it, or give its CA or its name with 'tunnel-ingress service set {service}'.", exception),

        // A lost connector is no fault of the target's.
        StreamAbortedException { Reason.Code: not (AbortCode.Reset or AbortCode.Dropped) } => null,
        IOException or AuthenticationException => new(
            Hop.Target, "tls-failed", $"The target of service {service} speaks no TLS, or broke it off. Is it --protocol http?", exception),
        _ => null,
    };
}
