using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Shared.Hosting.Configuration;
using Shared.Pooling.Hosting;

namespace TunnelPooler.Pooling;

/// <summary>TLS for applications, as the configuration asks for it.</summary>
internal static class PoolerTls
{
    /// <summary>Makes the options of each handshake; null without a certificate.</summary>
    /// <exception cref="ConfigurationException">A file cannot be read, or one is missing.</exception>
    public static Func<string, SslServerAuthenticationOptions>? From(PoolerTlsOptions options)
    {
        if (PemCertificates.ReadFile("Tls:Certificate", options.Certificate) is not { } pem)
        {
            return options.Required || options.ClientCaFile is not null || options.RequireClientCertificate
                ? throw new ConfigurationException("Tls:Certificate", "TLS is asked for, but there is no certificate.")
                : null;
        }

        var certificate = PemCertificates.WithKey("Tls:Certificate", pem, PemCertificates.ReadFile("Tls:Key", options.Key));
        var context = SslStreamCertificateContext.Create(certificate, PemCertificates.Roots("Tls:Certificate", pem), offline: true);
        var clientRoots = PemCertificates.ReadFile("Tls:ClientCaFile", options.ClientCaFile) is { } roots ? PemCertificates.Roots("Tls:ClientCaFile", roots) : null;
        if (options.RequireClientCertificate && clientRoots is null)
        {
            throw new ConfigurationException("Tls:ClientCaFile", "Applications' certificates are required; name who signs them.");
        }

        return _ => Options(context, clientRoots, options.RequireClientCertificate);
    }

    private static SslServerAuthenticationOptions Options(SslStreamCertificateContext context, X509Certificate2Collection? clientRoots, bool required)
    {
        var options = new SslServerAuthenticationOptions { ServerCertificateContext = context };
        if (clientRoots is not null)
        {
            options.ClientCertificateRequired = true;
            options.CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            options.CertificateChainPolicy.CustomTrustStore.AddRange(clientRoots);

            // Asked for is not required: most users log in with a password. What is given must verify.
            options.RemoteCertificateValidationCallback = (_, certificate, _, errors) =>
                errors == SslPolicyErrors.None || (certificate is null && !required);
        }

        return options;
    }
}
