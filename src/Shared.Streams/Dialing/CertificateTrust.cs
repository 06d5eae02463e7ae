using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Shared.Streams.Tls;

namespace Shared.Streams.Dialing;

/// <summary>
/// Whom to believe in a TLS handshake: the system's roots, or those of one CA file and nobody else.
/// Verification cannot be turned off. Immutable; safe for concurrent use.
/// </summary>
public sealed class CertificateTrust
{
    private readonly X509Certificate2Collection? _roots;
    private readonly string _setting;

    private CertificateTrust(X509Certificate2Collection? roots, string setting = "CaFile")
    {
        (_roots, _setting) = (roots, setting);
    }

    /// <summary>The system's roots.</summary>
    public static CertificateTrust System { get; } = new(null);

    /// <summary>The roots of a PEM file.</summary>
    /// <exception cref="IOException">The file cannot be read or holds no certificate; the message names it.</exception>
    public static CertificateTrust FromFile(string path)
    {
        var roots = new X509Certificate2Collection();
        try
        {
            roots.ImportFromPemFile(path);
        }
        catch (Exception exception) when (exception is CryptographicException or UnauthorizedAccessException or FileNotFoundException
            or DirectoryNotFoundException)
        {
            throw new IOException($"The CA file {path} cannot be read: {exception.Message}", exception);
        }

        return roots.Count > 0 ? new(roots) : throw new IOException($"The CA file {path} holds no PEM certificate.");
    }

    /// <summary>The roots of a text in PEM.</summary>
    /// <exception cref="IOException">It holds no certificate.</exception>
    public static CertificateTrust FromPem(string pem)
    {
        var roots = new X509Certificate2Collection();
        try
        {
            roots.ImportFromPem(pem);
        }
        catch (CryptographicException exception)
        {
            throw new IOException($"That is no certificate in PEM: {exception.Message}", exception);
        }

        return roots.Count > 0 ? new(roots) : throw new IOException("There is no PEM certificate in it.");
    }

    /// <summary>The same, and errors name the setting that tells whom to believe.</summary>
    public CertificateTrust ChosenBy(string setting) => new(_roots, setting);

    /// <summary>Client options that verify chain and name, TLS 1.2 and newer.</summary>
    public SslClientAuthenticationOptions ClientOptions(string? serverName)
    {
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = serverName,
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            RemoteCertificateValidationCallback = static (_, certificate, chain, errors) =>
                errors == SslPolicyErrors.None ? true : throw CertificateRejectedException.From(certificate, chain, errors),
        };
        if (_roots is not null)
        {
            options.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            options.CertificateChainPolicy.CustomTrustStore.AddRange(_roots);
        }

        return options;
    }

    /// <summary>A failed handshake as an error that names the hop.</summary>
    internal DialException Failure(string serverName, Exception exception)
    {
        if (exception is OperationCanceledException)
        {
            return new DialException(Hop.Tls, "timeout", $"The TLS handshake with {serverName} did not finish in time. Is that a TLS port?", exception);
        }

        return CertificateRejectedException.Behind(exception) is { } rejected
            ? new DialException(
                Hop.Tls, "certificate-not-trusted", $"The certificate of {serverName} does not verify: {rejected.Message}{Advice(rejected)}", exception)
            : new DialException(
                Hop.Tls, "handshake-failed",
                $"The TLS handshake with {serverName} failed: {exception.GetBaseException().Message.TrimEnd('.')}. Is that a TLS port?", exception);
    }

    private string Advice(CertificateRejectedException rejected) => string.Concat(
        rejected.IsOutOfDate ? " Renew it, or set the clock of this machine." : "",
        rejected.IsMisnamed ? " Use a name that it carries." : "",
        rejected.IsOfUnknownIssuer ? $" Name the PEM file of its CA in {_setting}." : "");
}
