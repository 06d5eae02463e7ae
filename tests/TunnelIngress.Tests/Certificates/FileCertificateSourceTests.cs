using System.Diagnostics;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Time.Testing;
using Shared.Hosting.Configuration;
using TunnelIngress.Certificates;
using TunnelIngress.Configuration;
using TunnelIngress.Tests.State;

namespace TunnelIngress.Tests.Certificates;

public sealed class FileCertificateSourceTests : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);

    private readonly TemporaryDirectory _directory = new();
    private readonly TestCertificates _certificates = new();
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);
    private readonly RecordingLogger<FileCertificateSource> _log = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Chain => _directory.Combine("chain.pem");

    private string Key => _directory.Combine("key.pem");

    public void Dispose()
    {
        _certificates.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task A_PEM_chain_with_its_key_beside_it_serves_every_name_asked_for()
    {
        await WriteAsync("a.example.com");
        await using var source = Open();
        Assert.Equal("a.example.com", await _certificates.HandshakeAsync(source, "a.example.com"));
        Assert.Same(source.Select(""), source.Select("b.example.com"));
    }

    [Fact]
    public async Task One_PEM_file_may_hold_chain_and_key()
    {
        var (chain, key) = _certificates.Pem("a.example.com");
        await File.WriteAllTextAsync(Chain, chain + key, Cancel);
        await using var source = new FileCertificateSource(new CertificateOptions { File = Chain }, _time, _log);
        Assert.Equal("a.example.com", await _certificates.HandshakeAsync(source, "a.example.com"));
    }

    [Fact]
    public async Task A_PFX_file_opens_with_its_password_and_not_without()
    {
        var file = _directory.Combine("a.pfx");
        var password = _directory.Combine("password");
        using (var certificate = _certificates.Issue("a.example.com"))
        {
            await File.WriteAllBytesAsync(file, certificate.Export(X509ContentType.Pkcs12, "pass word"), Cancel);
        }

        await File.WriteAllTextAsync(password, "pass word\n", Cancel);
        await using var source = new FileCertificateSource(new CertificateOptions { File = file, PasswordFile = password }, _time, _log);
        Assert.Equal("a.example.com", await _certificates.HandshakeAsync(source, "a.example.com"));

        Assert.Contains(file, Assert.Throws<ConfigurationException>(() => new FileCertificateSource(new CertificateOptions { File = file }, _time, _log)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_used_at_start_is_refused_with_the_files_name()
    {
        Assert.Contains(Chain, Assert.Throws<ConfigurationException>(Open).Message, StringComparison.Ordinal);

        await File.WriteAllTextAsync(Chain, "no certificate", Cancel);
        await File.WriteAllTextAsync(Key, "no key", Cancel);
        Assert.Contains(Chain, Assert.Throws<ConfigurationException>(Open).Message, StringComparison.Ordinal);

        var (chain, _) = _certificates.Pem("a.example.com");
        var (_, othersKey) = _certificates.Pem("b.example.com");
        await File.WriteAllTextAsync(Chain, chain, Cancel);
        await File.WriteAllTextAsync(Key, othersKey, Cancel);
        Assert.Contains(Chain, Assert.Throws<ConfigurationException>(Open).Message, StringComparison.Ordinal);

        await File.WriteAllTextAsync(Chain, TestCertificates.SigningRequest("a.example.com"), Cancel);
        Assert.Contains(Chain, Assert.Throws<ConfigurationException>(Open).Message, StringComparison.Ordinal);

        await WriteAsync("a.example.com", DateTimeOffset.UtcNow.AddDays(-1));
        Assert.Contains("expired", Assert.Throws<ConfigurationException>(Open).Message, StringComparison.Ordinal);

        await WriteAsync("a.example.com", notBefore: _time.GetUtcNow().AddMinutes(1));
        Assert.Contains("is valid from", Assert.Throws<ConfigurationException>(Open).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_replaced_file_is_served_to_the_next_handshake()
    {
        await WriteAsync("a.example.com");
        await using var source = Open();
        await WriteAsync("second.example.com");
        _time.Advance(Interval);
        Assert.Equal("second.example.com", await _certificates.HandshakeAsync(source, "second.example.com"));
    }

    [Fact]
    public async Task A_swapped_link_above_the_files_is_noticed()
    {
        // As Kubernetes does: chain.pem → ..data/chain.pem, ..data → a directory, replaced by renaming a link.
        await KubernetesAsync("v1", "a.example.com");
        File.CreateSymbolicLink(_directory.Combine("..data"), "v1");
        File.CreateSymbolicLink(Chain, "..data/chain.pem");
        File.CreateSymbolicLink(Key, "..data/key.pem");
        await using var source = Open();

        await KubernetesAsync("v2", "b.example.com");
        File.CreateSymbolicLink(_directory.Combine("..data_tmp"), "v2");
        using (var rename = Process.Start("mv", ["-T", _directory.Combine("..data_tmp"), _directory.Combine("..data")]))
        {
            await rename.WaitForExitAsync(Cancel);
            Assert.Equal(0, rename.ExitCode);
        }

        _time.Advance(Interval);

        Assert.Equal("b.example.com", await _certificates.HandshakeAsync(source, "b.example.com"));
    }

    [Fact]
    public async Task A_bad_replacement_keeps_the_old_certificate_and_is_told_once_and_a_good_one_then_works()
    {
        await WriteAsync("a.example.com");
        await using var source = Open();

        await File.WriteAllTextAsync(Chain, "half a certific", Cancel);
        _time.Advance(Interval);
        _time.Advance(Interval);
        Assert.Equal("a.example.com", await _certificates.HandshakeAsync(source, "a.example.com"));
        Assert.Contains(Chain, Assert.Single(_log.Entries, static entry => entry.Event == "CertificateRejected").Message, StringComparison.Ordinal);

        File.Delete(Chain);
        _time.Advance(Interval);
        _time.Advance(Interval);
        Assert.Equal(2, _log.Count("CertificateRejected"));
        Assert.Equal("a.example.com", await _certificates.HandshakeAsync(source, "a.example.com"));

        // A link to itself: the system refuses to say where it leads.
        File.CreateSymbolicLink(Chain, Chain);
        _time.Advance(Interval);
        Assert.Equal("a.example.com", await _certificates.HandshakeAsync(source, "a.example.com"));

        File.Delete(Chain);
        await WriteAsync("b.example.com");
        _time.Advance(Interval);
        Assert.Equal("b.example.com", await _certificates.HandshakeAsync(source, "b.example.com"));
    }

    [Fact]
    public async Task A_replacement_that_is_not_valid_yet_is_told_once_and_taken_when_it_is()
    {
        await WriteAsync("a.example.com");
        await using var source = Open();

        await WriteAsync("b.example.com", notBefore: _time.GetUtcNow().AddSeconds(20));
        _time.Advance(Interval * 3);
        Assert.Equal("CN=a.example.com", source.Select("").TargetCertificate.Subject);
        Assert.Contains("is valid from", Assert.Single(_log.Entries, static entry => entry.Event == "CertificateRejected").Message, StringComparison.Ordinal);

        // Nothing of the files has changed since: only what stood against them is over.
        _time.Advance(Interval * 10);
        Assert.Equal("CN=b.example.com", source.Select("").TargetCertificate.Subject);
        Assert.Equal((1, 2), (_log.Count("CertificateRejected"), _log.Count("CertificateLoaded")));
    }

    [Fact]
    public async Task A_bad_replacement_that_comes_again_is_told_again()
    {
        await WriteAsync("a.example.com");
        var good = await File.ReadAllTextAsync(Chain, Cancel);
        await using var source = Open();

        foreach (var content in new[] { "half a certific", good, "half a certific" })
        {
            await File.WriteAllTextAsync(Chain, content, Cancel);
            _time.Advance(Interval * 2);
        }

        Assert.Equal(2, _log.Count("CertificateRejected"));
    }

    [Fact]
    public async Task A_certificate_that_expires_in_use_is_told_also_while_its_replacement_is_bad()
    {
        var expiry = _time.GetUtcNow().AddSeconds(20);
        await WriteAsync("a.example.com", expiry);
        await using var source = Open();
        Assert.Equal(expiry.ToUnixTimeSeconds(), source.ExpiresAt!.Value.ToUnixTimeSeconds());
        Assert.Equal((1, 0), (_log.Count("CertificateExpires"), _log.Count("CertificateExpired")));

        await File.WriteAllTextAsync(Chain, "half a certific", Cancel);
        _time.Advance(Interval * 20);

        Assert.Equal((1, 1), (_log.Count("CertificateExpires"), _log.Count("CertificateExpired")));
        Assert.Contains(Chain, Assert.Single(_log.Entries, static entry => entry.Event == "CertificateExpired").Message, StringComparison.Ordinal);
    }

    private FileCertificateSource Open() => new(new CertificateOptions { File = Chain, KeyFile = Key }, _time, _log);

    private async Task WriteAsync(string hostname, DateTimeOffset? notAfter = null, DateTimeOffset? notBefore = null)
    {
        var (chain, key) = _certificates.Pem(hostname, notAfter, notBefore);
        await File.WriteAllTextAsync(Chain, chain, Cancel);
        await File.WriteAllTextAsync(Key, key, Cancel);
    }

    private async Task KubernetesAsync(string version, string hostname)
    {
        var (chain, key) = _certificates.Pem(hostname);
        Directory.CreateDirectory(_directory.Combine(version));
        await File.WriteAllTextAsync(_directory.Combine($"{version}/chain.pem"), chain, Cancel);
        await File.WriteAllTextAsync(_directory.Combine($"{version}/key.pem"), key, Cancel);
    }
}
