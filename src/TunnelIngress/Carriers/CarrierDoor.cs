using System.Net.Security;
using System.Security.Authentication;
using Shared.Streams;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using Shared.Streams.Sockets;
using Shared.Streams.Tls;
using TunnelIngress.Applications;
using TunnelIngress.Certificates;

namespace TunnelIngress.Carriers;

/// <summary>
/// Takes in carriers that are TLS and nothing else: handshake → first message, with a token → a connector's or an application's carrier, to
/// its end. Without a web server in between, a byte passes fewer buffers and threads. Safe for concurrent use.
/// </summary>
internal sealed class CarrierDoor(
    ICertificateSource certificates, ConnectorCarriers connectors, ApplicationCarriers applications, ApplicationPlaces places, TimeProvider time)
{
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Serves one connection to its end; takes it over.</summary>
    public async Task ServeAsync(AcceptedConnection accepted)
    {
        using var limit = new CancellationTokenSource(HandshakeTimeout, time);
        TlsStream carrier;
        try
        {
            carrier = await TlsStream.AcceptAsync(accepted.Stream, Tls, limit.Token);
        }
        catch (Exception exception) when (exception is AuthenticationException or IOException or OperationCanceledException)
        {
            // As with the web server's own handshakes, whoever fails at one has the reason in his own log.
            return;
        }

        Func<Task>? carry;
        try
        {
            carry = await AdmitAsync(carrier, accepted, limit.Token);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            carrier.Abort(new StreamAbort(AbortCode.ProtocolError, "no handshake of a carrier"));
            carry = null;
        }

        if (carry is null)
        {
            await carrier.DisposeAsync();
            return;
        }

        await carry();
    }

    private SslServerAuthenticationOptions Tls(string serverName) => CarrierTls.Server(certificates.Select(serverName));

    /// <summary>Answers the first message.</summary>
    /// <returns>What to do with the carrier, or null after the refusal was said.</returns>
    private async ValueTask<Func<Task>?> AdmitAsync(DuplexStream carrier, AcceptedConnection accepted, CancellationToken cancellationToken)
    {
        var admission = await CarrierHandshake.ReceiveAsync(carrier, cancellationToken) switch
        {
            Join join => connectors.Admit(carrier, join, accepted.RemoteEndPoint),
            AccessHostname access => applications.Admit(carrier, access, accepted.RemoteEndPoint),
            var other => throw new ProtocolException($"{other.GetType().Name} as the first message of a carrier"),
        };
        if ((admission.Refusal ?? TakePlace(accepted.Place, admission)) is { } refusal)
        {
            await CarrierHandshake.SendAsync(carrier, refusal, cancellationToken);
            await carrier.CompleteWritesAsync(cancellationToken);
            return null;
        }

        try
        {
            await CarrierHandshake.SendAsync(carrier, new Joined(), cancellationToken);
            return admission.Carry;
        }
        catch
        {
            admission.GiveUp?.Invoke();
            throw;
        }
    }

    private JoinRefused? TakePlace(AcceptPlace place, Admission admission)
    {
        if (admission.Application is not { } clientId)
        {
            // Of each connector only so many carriers are kept.
            place.Recognize();
            return null;
        }

        if (places.Take(place, clientId) is not { } failure)
        {
            return null;
        }

        admission.GiveUp?.Invoke();
        return new JoinRefused(failure.Code, failure.Message);
    }
}

/// <summary>The answer to the first message of a carrier: one of the two.</summary>
/// <param name="Carry">Carries until the end, and takes the carrier over.</param>
/// <param name="Refusal">Why not.</param>
/// <param name="GiveUp">Called instead of <paramref name="Carry"/> when there is no place for it, or the answer did not get through.</param>
/// <param name="Application">The client id of an application's token; null for a connector.</param>
internal readonly record struct Admission(Func<Task>? Carry, JoinRefused? Refusal, Action? GiveUp = null, string? Application = null)
{
    /// <summary>One answer for every token that is not accepted, as in HTTP.</summary>
    public static Admission Denied(bool isWithinLimit) => new(null, isWithinLimit
        ? new JoinRefused("token-refused", "The service token was not accepted here: it is wrong, expired, revoked or not allowed for this.")
        : new JoinRefused("limited", "Too many refused service tokens from this address."));
}
