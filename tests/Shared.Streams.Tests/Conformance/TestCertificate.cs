using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Shared.Streams.Dialing;

namespace Shared.Streams.Tests.Conformance;

/// <summary>A self-signed certificate for localhost, and the trust in it.</summary>
internal static class TestCertificate
{
    public static X509Certificate2 Localhost { get; } = Create("localhost", DateTimeOffset.UtcNow.AddDays(1));

    public static CertificateTrust Trust { get; } = CreateTrust();

    public static X509Certificate2 Create(string name, DateTimeOffset until)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        return request.CreateSelfSigned(until.AddDays(-2), until);
    }

    private static CertificateTrust CreateTrust()
    {
        var path = Path.Combine(Path.GetTempPath(), $"trust-{Guid.NewGuid():N}.pem");
        File.WriteAllText(path, Localhost.ExportCertificatePem());
        try
        {
            return CertificateTrust.FromFile(path);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
