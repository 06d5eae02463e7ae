using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Shared.Hosting.Configuration;
using TunnelIngress.Configuration;

namespace TunnelIngress.Certificates;

/// <summary>
/// A certificate in files, PEM or PFX, read again within seconds when they change (also when a symbolic link is swapped, as
/// Kubernetes does). A replacement that is no good is logged, not used and tried again: it may only be too early, or the system too busy.
/// </summary>
internal sealed class FileCertificateSource : ICertificateSource
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private readonly CertificateOptions _options;
    private readonly ILogger<FileCertificateSource> _logger;
    private readonly TimeProvider _time;
    private readonly ExpiryWarning _expiry;
    private readonly ITimer _timer;
    private volatile SslStreamCertificateContext _context;
    private string _stamp;
    private string? _rejected;

    /// <summary>Loads the certificate.</summary>
    /// <exception cref="ConfigurationException">It cannot be used; the message names the file and says why.</exception>
    public FileCertificateSource(CertificateOptions options, TimeProvider time, ILogger<FileCertificateSource> logger)
    {
        (_options, _time, _logger) = (options, time, logger);
        _expiry = new ExpiryWarning(options.File!, time, logger);
        _stamp = Stamp();
        _context = Load();
        _expiry.Look(_context.TargetCertificate);
        _timer = time.CreateTimer(static state => ((FileCertificateSource)state!).Look(), this, Interval, Interval);
    }

    /// <inheritdoc/>
    public DateTimeOffset? ExpiresAt => _context.TargetCertificate.NotAfter.ToUniversalTime();

    /// <inheritdoc/>
    public SslStreamCertificateContext Select(string serverName) => _context;

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _timer.DisposeAsync();

    private void Look()
    {
        var stamp = "";
        try
        {
            _expiry.Look(_context.TargetCertificate);
            stamp = Stamp();
            if (stamp != _stamp)
            {
                _context = Load();
                _stamp = stamp;
            }

            _rejected = null;
        }
        catch (Exception exception)
        {
            // Whatever it is: an exception that leaves a timer's callback ends the process.
            if (stamp != _rejected)
            {
                _rejected = stamp;
                _logger.CertificateRejected(_options.File!, exception.Message);
            }
        }
    }

    private SslStreamCertificateContext Load()
    {
        var chain = new X509Certificate2Collection();
        X509Certificate2 leaf;
        try
        {
            leaf = LoadLeaf(chain);
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException or UnauthorizedAccessException or IOException)
        {
            throw Unusable($"cannot be used: {exception.Message} The file must hold the PEM chain, with the private key in it or in --certificate-key, or be a PFX file.", exception);
        }

        var now = _time.GetUtcNow().UtcDateTime;
        if (leaf.NotAfter.ToUniversalTime() < now)
        {
            throw Unusable($"expired on {leaf.NotAfter.ToUniversalTime():yyyy-MM-dd}. Renew it.");
        }

        if (leaf.NotBefore.ToUniversalTime() > now)
        {
            throw Unusable($"is valid from {leaf.NotBefore.ToUniversalTime():yyyy-MM-dd HH:mm:ss} UTC on, and no client takes it before. Use one that is valid now; if this one should be, set this host's clock.");
        }

        var context = SslStreamCertificateContext.Create(leaf, chain, offline: true);
        _logger.CertificateLoaded(leaf.Subject, _options.File!, leaf.NotAfter.ToUniversalTime());
        return context;
    }

    private ConfigurationException Unusable(string why, Exception? cause = null) => new("Certificate:File", $"The certificate in {_options.File} {why}", cause);

    private X509Certificate2 LoadLeaf(X509Certificate2Collection chain)
    {
        var file = _options.File!;
        var password = _options.PasswordFile is { } passwordFile ? File.ReadAllText(passwordFile).TrimEnd('\r', '\n') : null;
        if (IsPem(file))
        {
            chain.ImportFromPemFile(file);
            return password is null
                ? X509Certificate2.CreateFromPemFile(file, _options.KeyFile)
                : X509Certificate2.CreateFromEncryptedPemFile(file, password, _options.KeyFile);
        }

        var all = X509CertificateLoader.LoadPkcs12CollectionFromFile(file, password);
        chain.AddRange(all);
        return all.FirstOrDefault(static certificate => certificate.HasPrivateKey)
            ?? throw new CryptographicException("The PFX file holds no private key.");
    }

    private static bool IsPem(string file)
    {
        using var reader = File.OpenText(file);
        var head = new char[4096];
        var count = reader.ReadBlock(head);
        return head.AsSpan(0, count).Contains("-----BEGIN", StringComparison.Ordinal);
    }

    /// <summary>What the files hold. Comparing that, not times, sees every kind of replacement: a rewrite, a rename, a link above the file.</summary>
    private string Stamp() => string.Join('|', new[] { _options.File, _options.KeyFile, _options.PasswordFile }.OfType<string>().Select(HashOf));

    private static string HashOf(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            return Convert.ToHexString(SHA256.HashData(file));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Loading it says why.
            return "unreadable";
        }
    }
}
