using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>A CA of the test's own, and certificates of it as PEM files.</summary>
internal sealed class TestAuthority : IDisposable
{
    private readonly X509Certificate2 _ca;

    public TestAuthority()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN=CA {Guid.NewGuid():N}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        _ca = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddYears(1));
    }

    /// <summary>Writes the certificate that others must trust.</summary>
    public async Task<string> WriteRootAsync(string file)
    {
        await File.WriteAllTextAsync(file, _ca.ExportCertificatePem());
        return file;
    }

    /// <summary>Writes a certificate for a hostname, and its key.</summary>
    public async Task IssueAsync(string hostname, string certificateFile, string keyFile)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={hostname}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(hostname);
        request.CertificateExtensions.Add(names.Build());
        using var issued = request.Create(_ca, _ca.NotBefore, _ca.NotAfter, RandomNumberGenerator.GetBytes(16));
        await File.WriteAllTextAsync(certificateFile, issued.ExportCertificatePem());
        await File.WriteAllTextAsync(keyFile, key.ExportPkcs8PrivateKeyPem());
        (await CommandLine.RunAsync("chmod", ["600", keyFile])).EnsureSuccess();
    }

    public void Dispose() => _ca.Dispose();
}
