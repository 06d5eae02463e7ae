using System.Net.Security;

namespace TunnelIngress.Certificates;

/// <summary>Certificates for TLS handshakes. Safe for concurrent use; called at each handshake.</summary>
internal interface ICertificateSource : IAsyncDisposable
{
    /// <summary>When the certificate in use expires; null for those that are renewed here.</summary>
    DateTimeOffset? ExpiresAt { get; }

    /// <summary>The certificate for a server name.</summary>
    /// <param name="serverName">The name the client asks for (SNI, RFC 6066 section 3); empty when it names none.</param>
    SslStreamCertificateContext Select(string serverName);
}
