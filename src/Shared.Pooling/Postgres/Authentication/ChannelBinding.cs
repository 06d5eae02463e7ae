using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Shared.Pooling.Postgres.Authentication;

/// <summary>Binds a login to the TLS session it runs in.</summary>
internal static class ChannelBinding
{
    /// <summary>
    /// tls-server-end-point: the certificate's hash by its signature's hash function, SHA-256 in place of MD5 and SHA-1.
    /// Null when that function is not known. Source: RFC 5929 section 4.1.
    /// </summary>
    public static byte[]? EndPointHash(X509Certificate certificate)
    {
        using var parsed = X509CertificateLoader.LoadCertificate(certificate.GetRawCertData());
        return parsed.SignatureAlgorithm.Value switch
        {
            "1.2.840.113549.1.1.4" or "1.2.840.113549.1.1.5" or "1.2.840.113549.1.1.11" or "1.2.840.10045.4.1" or "1.2.840.10045.4.3.2" =>
                SHA256.HashData(parsed.RawData),
            "1.2.840.113549.1.1.12" or "1.2.840.10045.4.3.3" => SHA384.HashData(parsed.RawData),
            "1.2.840.113549.1.1.13" or "1.2.840.10045.4.3.4" => SHA512.HashData(parsed.RawData),
            _ => null,
        };
    }
}
