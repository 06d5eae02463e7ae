using System.Security.Cryptography.X509Certificates;

namespace TunnelIngress.Certificates;

/// <summary>
/// Says once a day that the certificate in use expires soon, or has. Soon is two weeks, or the last third of a certificate with a short life, which
/// is renewed later. Not for concurrent use.
/// </summary>
internal sealed class ExpiryWarning(string file, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Soon = TimeSpan.FromDays(14);
    private static readonly TimeSpan Interval = TimeSpan.FromDays(1);

    private (DateTime ExpiresAt, bool HasExpired) _told;
    private long _toldAt;

    /// <summary>Looks at the certificate in use, however often.</summary>
    public void Look(X509Certificate2 certificate)
    {
        var expiresAt = certificate.NotAfter.ToUniversalTime();
        var left = expiresAt - time.GetUtcNow().UtcDateTime;
        var third = (certificate.NotAfter - certificate.NotBefore) / 3;
        var found = (expiresAt, left < TimeSpan.Zero);
        if (left >= (third < Soon ? third : Soon) || (found == _told && time.GetElapsedTime(_toldAt) < Interval))
        {
            return;
        }

        (_told, _toldAt) = (found, time.GetTimestamp());
        if (left < TimeSpan.Zero)
        {
            logger.CertificateExpired(file, expiresAt);
        }
        else
        {
            logger.CertificateExpires(file, expiresAt, (int)left.TotalDays);
        }
    }
}
