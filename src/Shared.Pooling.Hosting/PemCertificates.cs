using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Shared.Hosting.Configuration;

namespace Shared.Pooling.Hosting;

/// <summary>Certificates in PEM, as a configuration gives them.</summary>
public static class PemCertificates
{
    /// <summary>The CA certificates of a text.</summary>
    /// <exception cref="ConfigurationException">It holds none.</exception>
    public static X509Certificate2Collection Roots(string key, string pem)
    {
        var roots = new X509Certificate2Collection();
        Read(key, () => roots.ImportFromPem(pem));
        return roots.Count > 0 ? roots : throw new ConfigurationException(key, "There is no PEM certificate in it.");
    }

    /// <summary>A certificate with its key.</summary>
    /// <param name="key">The configuration's key, for errors.</param>
    /// <param name="certificatePem">The certificate, perhaps with its chain.</param>
    /// <param name="keyPem">Its key; null when it is beside the certificate.</param>
    /// <exception cref="ConfigurationException">They cannot be read, or do not belong together.</exception>
    public static X509Certificate2 WithKey(string key, string certificatePem, string? keyPem)
    {
        X509Certificate2? usable = null;
        Read(key, () =>
        {
            // A key that exists in memory only cannot be used by every platform's TLS.
            using var loaded = X509Certificate2.CreateFromPem(certificatePem, keyPem ?? certificatePem);
            usable = X509CertificateLoader.LoadPkcs12(loaded.Export(X509ContentType.Pfx), password: null);
        });
        return usable!;
    }

    /// <summary>The text of a file; null when none is named.</summary>
    /// <exception cref="ConfigurationException">It cannot be read.</exception>
    public static string? ReadFile(string key, string? file)
    {
        if (string.IsNullOrEmpty(file))
        {
            return null;
        }

        try
        {
            return File.ReadAllText(file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException(key, $"The file {file} cannot be read: {exception.Message}", exception);
        }
    }

    private static void Read(string key, Action read)
    {
        try
        {
            read();
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException)
        {
            throw new ConfigurationException(key, $"That is no certificate in PEM: {exception.Message}", exception);
        }
    }
}
