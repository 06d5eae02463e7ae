using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using TunnelIngress.State;

namespace TunnelIngress.Certificates;

/// <summary>
/// Certificates for development from a CA of our own, made once in the state directory: whoever trusts <c>dev-ca.pem</c> can reach
/// localhost and every registered hostname. Never for production: the CA's key lies beside the state.
/// </summary>
internal sealed class DevelopmentCertificateSource : ICertificateSource
{
    private const string CaFile = "dev-ca.pem";
    private const string CaKeyFile = "dev-ca-key.pem";
    private const string Localhost = "localhost";
    private const int MaxNames = 1000;

    private static readonly TimeSpan Lifetime = TimeSpan.FromDays(90);
    private static readonly TimeSpan RenewAfter = Lifetime * 2 / 3;

    private readonly X509Certificate2 _ca;
    private readonly Func<string, bool> _isKnown;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<string, Leaf> _byName = new(StringComparer.OrdinalIgnoreCase);

    private DevelopmentCertificateSource(X509Certificate2 ca, Func<string, bool> isKnown, TimeProvider time)
    {
        (_ca, _isKnown, _time) = (ca, isKnown, time);
    }

    /// <summary>Loads or makes the CA.</summary>
    /// <param name="directory">The state directory.</param>
    /// <param name="isKnown">Which host names get a certificate, beside localhost.</param>
    /// <param name="time">The clock of validity.</param>
    /// <param name="logger">Told where the CA is.</param>
    /// <param name="cancellationToken">Ends the writing.</param>
    public static async Task<DevelopmentCertificateSource> CreateAsync(
        string directory, Func<string, bool> isKnown, TimeProvider time, ILogger<DevelopmentCertificateSource> logger, CancellationToken cancellationToken)
    {
        var (file, keyFile) = (Path.Combine(directory, CaFile), Path.Combine(directory, CaKeyFile));
        if (!File.Exists(file) || !File.Exists(keyFile))
        {
            await MakeCaAsync(file, keyFile, time.GetUtcNow(), cancellationToken);
        }

        var source = new DevelopmentCertificateSource(LoadCa(file, keyFile, time.GetUtcNow()), isKnown, time);
        logger.DevelopmentCertificate(file);
        return source;
    }

    /// <inheritdoc/>
    public DateTimeOffset? ExpiresAt => null;

    /// <inheritdoc/>
    public SslStreamCertificateContext Select(string serverName)
    {
        var name = serverName.Length == 0 || !_isKnown(serverName) ? Localhost : serverName;
        var now = _time.GetUtcNow();
        if (_byName.TryGetValue(name, out var leaf) && now < leaf.RenewAt)
        {
            return leaf.Context;
        }

        // Names that are known are few; the bound only guards against a state that changes without end.
        if (_byName.Count >= MaxNames)
        {
            _byName.Clear();
        }

        leaf = new Leaf(Issue(name, now), now + RenewAfter);
        _byName[name] = leaf;
        return leaf.Context;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _ca.Dispose();
        return ValueTask.CompletedTask;
    }

    private static X509Certificate2 LoadCa(string file, string keyFile, DateTimeOffset now)
    {
        var remedy = $"Remove {file} and {keyFile} to have a new CA made; clients then need the new {CaFile}.";
        try
        {
            var ca = X509Certificate2.CreateFromPemFile(file, keyFile);
            return now + Lifetime < ca.NotAfter ? ca : throw new IOException($"The development CA in {file} expires on {ca.NotAfter:yyyy-MM-dd}. {remedy}");
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException or UnauthorizedAccessException)
        {
            throw new IOException($"The development CA in {file} cannot be used: {exception.Message} {remedy}", exception);
        }
    }

    private static async Task MakeCaAsync(string file, string keyFile, DateTimeOffset now, CancellationToken cancellationToken)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

        // The random part keeps OpenSSL from taking a CA that was made anew for the one before.
        var name = $"CN=Tunnel development CA {RandomNumberGenerator.GetHexString(8, lowercase: true)}";
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        using var ca = request.CreateSelfSigned(now.AddDays(-1), now.AddYears(10));
        await PrivateFiles.ReplaceAsync(keyFile, Encoding.ASCII.GetBytes(key.ExportPkcs8PrivateKeyPem()), cancellationToken);

        // Public, for clients of any user to trust.
        await File.WriteAllTextAsync(file, ca.ExportCertificatePem() + "\n", cancellationToken);
    }

    private SslStreamCertificateContext Issue(string name, DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

        // Clients look at the names below; a common name may have no more than 64 characters (RFC 5280 appendix A.1).
        var request = new CertificateRequest(name.Length <= 64 ? $"CN={name}" : "CN=tunnel", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        if (name == Localhost)
        {
            names.AddIpAddress(IPAddress.Loopback);
            names.AddIpAddress(IPAddress.IPv6Loopback);
        }

        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(_ca, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        using var issued = request.Create(_ca, now.AddDays(-1), now + Lifetime, RandomNumberGenerator.GetBytes(16));
        return SslStreamCertificateContext.Create(issued.CopyWithPrivateKey(key), [_ca], offline: true);
    }

    private sealed record Leaf(SslStreamCertificateContext Context, DateTimeOffset RenewAt);
}
