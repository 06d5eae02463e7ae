using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Shared.Pooling.Postgres.Protocol;
using Shared.Streams.Tls;

namespace Shared.Pooling.Postgres.Origins;

/// <summary>Asks an origin for TLS and starts it, over any stream. Source: PostgreSQL documentation, "SSL Session Encryption".</summary>
internal static class OriginEncryption
{
    private const int SslRequestCode = 80877103;

    /// <summary>Leaves the reader on the encrypted stream, or on the plain one where that is allowed.</summary>
    /// <exception cref="OriginException">The origin offers no TLS, or its certificate does not verify.</exception>
    public static async ValueTask NegotiateAsync(MessageReader reader, OriginOptions options, CancellationToken cancellationToken)
    {
        if (options.Tls == OriginTls.Disable || (options.Tls == OriginTls.Prefer && options.IsLocal))
        {
            return;
        }

        using var request = new MessageWriter();
        request.BeginUntyped().Int32(SslRequestCode).End();
        await reader.Stream.WriteAsync(request.Written, cancellationToken);
        await reader.FillOrThrowAsync(1, cancellationToken);
        var answer = reader.Buffered.Span[0];
        reader.Advance(1);
        if (answer == 'S')
        {
            await EncryptAsync(reader, options, cancellationToken);
        }
        else if (answer != 'N')
        {
            throw new ProtocolViolationException("the answer to the request for TLS is neither yes nor no");
        }
        else if (options.Tls != OriginTls.Prefer)
        {
            throw new OriginException("tls", SqlState.UnableToConnect, "the database offers no TLS", "Turn ssl on in the database, or set the pool's Tls to prefer.");
        }
    }

    private static async ValueTask EncryptAsync(MessageReader reader, OriginOptions options, CancellationToken cancellationToken)
    {
        // Bytes behind the answer would be somebody's who is in between (CVE-2021-23222); Continue refuses them.
        var plain = reader.Stream;
        var tls = new SslClientAuthenticationOptions
        {
            TargetHost = options.ServerName,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) => Relevant(options.Tls, errors) switch
            {
                SslPolicyErrors.None => true,
                var found => throw CertificateRejectedException.From(certificate, chain, found),
            },
        };
        if (options.ClientCertificate is { } certificate)
        {
            tls.ClientCertificateContext = SslStreamCertificateContext.Create(certificate, additionalCertificates: null, offline: true);
        }

        if (options.Roots is { } roots)
        {
            tls.CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            tls.CertificateChainPolicy.CustomTrustStore.AddRange(roots);
        }

        if (!reader.Buffered.IsEmpty)
        {
            throw new ProtocolViolationException("there were unencrypted bytes before the TLS handshake");
        }

        try
        {
            reader.Continue(await TlsStream.ConnectAsync(plain, tls, cancellationToken));
        }
        catch (AuthenticationException exception)
        {
            throw CertificateRejectedException.Behind(exception) is { } rejected
                ? new OriginException(
                    "tls", SqlState.UnableToConnect, $"the certificate of the database does not verify: {rejected.Message}",
                    "Give the CA that signed it (CaFile) and the name that it carries (ServerName).", exception)
                : new OriginException(
                    "tls", SqlState.UnableToConnect, $"the TLS handshake with the database failed: {exception.GetBaseException().Message}",
                    "See the database's log.", exception);
        }
    }

    // require encrypts without asking who answers, as libpq's does.
    private static SslPolicyErrors Relevant(OriginTls tls, SslPolicyErrors errors) => tls switch
    {
        OriginTls.VerifyFull => errors,
        OriginTls.VerifyCa => errors & ~SslPolicyErrors.RemoteCertificateNameMismatch,
        _ => errors & SslPolicyErrors.RemoteCertificateNotAvailable,
    };
}
