using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Shared.Streams;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;
using Shared.Streams.Sockets;
using Shared.Streams.Tls;
using TunnelIngress.Applications;
using TunnelIngress.Certificates;
using TunnelIngress.Connectors;

namespace TunnelIngress.Carriers;

/// <summary>
/// Takes in carriers that are TLS and nothing else: handshake → join with the token of the session → carry until it ends. Without a
/// web server in between, a byte passes fewer buffers and threads. Safe for concurrent use.
/// </summary>
internal sealed class CarrierDoor(
    ICertificateSource certificates, AccessCheck access, ConnectorRegistry registry, CarrierRunner runner, TimeProvider time)
{
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(10);
    private static readonly List<SslApplicationProtocol> ApplicationProtocols = [new(TunnelProtocol.CarrierApplicationProtocol)];

    /// <summary>Serves one connection to its end; takes over the socket.</summary>
    public async Task ServeAsync(Socket socket)
    {
        var remote = socket.RemoteEndPoint as IPEndPoint;
        using var limit = new CancellationTokenSource(HandshakeTimeout, time);
        TlsStream carrier;
        try
        {
            SocketTuning.Apply(socket);
            carrier = await TlsStream.AcceptAsync(new SocketStream(socket), Tls, limit.Token);
        }
        catch (Exception exception) when (exception is AuthenticationException or IOException or SocketException or OperationCanceledException)
        {
            // As with the web server's own handshakes, whoever fails at one has the reason in his own log.
            return;
        }

        ConnectorSession? session;
        try
        {
            session = await JoinAsync(carrier, remote, limit.Token);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            carrier.Abort(new StreamAbort(AbortCode.ProtocolError, "no handshake of a carrier"));
            session = null;
        }

        if (session is null)
        {
            await carrier.DisposeAsync();
            return;
        }

        await runner.RunAsync(session, carrier);
    }

    private SslServerAuthenticationOptions Tls(string serverName) => new()
    {
        ServerCertificateContext = certificates.Select(serverName),
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        ApplicationProtocols = ApplicationProtocols,
        ClientCertificateRequired = false,
    };

    /// <summary>The session, or null after the refusal was said.</summary>
    private async ValueTask<ConnectorSession?> JoinAsync(DuplexStream carrier, IPEndPoint? remote, CancellationToken cancellationToken)
    {
        if (await CarrierHandshake.ReceiveAsync(carrier, cancellationToken) is not Join join)
        {
            throw new ProtocolException("the first message of a carrier must be join");
        }

        var session = registry.ById(join.Session);
        var token = access.Find(join.ClientId, join.ClientSecret, out var denial);
        if (token is not null && session?.TokenId == token.ClientId)
        {
            await CarrierHandshake.SendAsync(carrier, new Joined(), cancellationToken);
            return session;
        }

        var reason = token is null ? denial.ToString() : "no such session of this token";
        var isWithinLimit = access.CountRefusal(remote?.Address, remote?.ToString() ?? "?", join.ClientId, "", TunnelProtocol.CarrierApplicationProtocol, reason);
        await CarrierHandshake.SendAsync(
            carrier,
            isWithinLimit
                ? new JoinRefused("token-refused", "The service token was not accepted here, or its session is over.")
                : new JoinRefused("limited", "Too many refused service tokens from this address."),
            cancellationToken);
        await carrier.CompleteWritesAsync(cancellationToken);
        return null;
    }
}
