namespace TunnelIngress.Certificates;

/// <summary>What certificates say in the log. Ids 1100-1199.</summary>
internal static partial class CertificateLog
{
    [LoggerMessage(1100, LogLevel.Information, "Certificate {Subject} from {File}, valid until {NotAfter:yyyy-MM-dd}", EventName = "CertificateLoaded")]
    public static partial void CertificateLoaded(this ILogger logger, string subject, string file, DateTime notAfter);

    [LoggerMessage(1101, LogLevel.Error, "The changed certificate in {File} is not used, the old one stays: {Reason}", EventName = "CertificateRejected")]
    public static partial void CertificateRejected(this ILogger logger, string file, string reason);

    [LoggerMessage(1102, LogLevel.Warning, "Development certificates: clients must trust {File}", EventName = "DevelopmentCertificate")]
    public static partial void DevelopmentCertificate(this ILogger logger, string file);

    [LoggerMessage(1103, LogLevel.Warning, "The certificate in {File} expires on {NotAfter:yyyy-MM-dd HH:mm} UTC, in {Days} days. Renew it and replace the file; it is read again by itself", EventName = "CertificateExpires")]
    public static partial void CertificateExpires(this ILogger logger, string file, DateTime notAfter, int days);

    [LoggerMessage(1104, LogLevel.Error, "The certificate in {File} expired on {NotAfter:yyyy-MM-dd HH:mm} UTC: no client accepts it. Renew it and replace the file; it is read again by itself", EventName = "CertificateExpired")]
    public static partial void CertificateExpired(this ILogger logger, string file, DateTime notAfter);
}
