using System.Net.Security;
using System.Security.Authentication;
using Shared.Streams.Protocol;

namespace Shared.Streams.Tls;

/// <summary>
/// What both ends of a carrier ask of TLS, because both are ours: version 1.3 and nothing older, and AES-128-GCM first, which has ten
/// rounds instead of the fourteen of AES-256-GCM and is the one that everybody has (RFC 8446 section 9.1).
/// </summary>
public static class CarrierTls
{
    /// <summary>The carrier's name in the handshake (ALPN).</summary>
    public static readonly SslApplicationProtocol ApplicationProtocol = new(TunnelProtocol.CarrierApplicationProtocol);

    /// <summary>For the end that dials; it takes an answer in HTTP, too, which says that something else ends the TLS session.</summary>
    public static SslClientAuthenticationOptions Apply(SslClientAuthenticationOptions options)
    {
        options.EnabledSslProtocols = SslProtocols.Tls13;
        options.CipherSuitesPolicy = CipherSuites;
        options.ApplicationProtocols = [ApplicationProtocol, SslApplicationProtocol.Http11];
        return options;
    }

    /// <summary>For the end that listens.</summary>
    public static SslServerAuthenticationOptions Server(SslStreamCertificateContext certificate) => new()
    {
        ServerCertificateContext = certificate,
        EnabledSslProtocols = SslProtocols.Tls13,
        CipherSuitesPolicy = CipherSuites,
        ApplicationProtocols = [ApplicationProtocol],
        ClientCertificateRequired = false,
    };

    // Other systems than those with OpenSSL choose for themselves.
    private static CipherSuitesPolicy? CipherSuites { get; } = OperatingSystem.IsLinux()
        ? new CipherSuitesPolicy([TlsCipherSuite.TLS_AES_128_GCM_SHA256, TlsCipherSuite.TLS_AES_256_GCM_SHA384, TlsCipherSuite.TLS_CHACHA20_POLY1305_SHA256])
        : null;
}
