using System.Security.Authentication;
using Shared.Streams.Tls;

namespace Shared.Streams.Dialing;

/// <summary>TLS over what another dialer opens; the certificate is always verified. Safe for concurrent use.</summary>
/// <param name="inner">Opens the stream underneath.</param>
/// <param name="serverName">The name the certificate must carry, also sent as SNI.</param>
/// <param name="trust">The roots to trust.</param>
/// <param name="timeout">The limit of the handshake.</param>
/// <param name="time">The clock of that limit.</param>
public sealed class TlsDialer(IDialer inner, string serverName, CertificateTrust trust, TimeSpan timeout, TimeProvider time) : IDialer
{
    /// <inheritdoc/>
    public async ValueTask<DuplexStream> DialAsync(CancellationToken cancellationToken)
    {
        var stream = await inner.DialAsync(cancellationToken);
        using var deadline = new CancellationTokenSource(timeout, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        try
        {
            return await TlsStream.ConnectAsync(stream, trust.ClientOptions(serverName), limit.Token);
        }
        catch (Exception exception) when (exception is AuthenticationException or IOException
            || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw trust.Failure(serverName, exception);
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"{inner} (TLS, {serverName})";
}
