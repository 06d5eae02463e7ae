using System.Diagnostics;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Time.Testing;
using TunnelIngress.Certificates;
using TunnelIngress.Tests.State;

namespace TunnelIngress.Tests.Certificates;

public sealed class DevelopmentCertificateSourceTests : IDisposable
{
    private const string Known = "orders-db.tunnel.localhost";

    private readonly TemporaryDirectory _directory = new();
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);
    private readonly RecordingLogger<DevelopmentCertificateSource> _log = new();
    private readonly HashSet<string> _known = new(StringComparer.OrdinalIgnoreCase) { Known };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string CaFile => _directory.Combine("dev-ca.pem");

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData("localhost")]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    [InlineData(Known)]
    public async Task A_client_that_trusts_the_CA_verifies_every_name_that_is_served(string hostname)
    {
        await using var source = await OpenAsync();
        await HandshakeAsync(source, hostname);
    }

    [Fact]
    public async Task A_name_that_is_not_registered_fails_in_the_clients_verification()
    {
        await using var source = await OpenAsync();
        await Assert.ThrowsAsync<AuthenticationException>(() => HandshakeAsync(source, "other.tunnel.localhost"));
        await HandshakeAsync(source, Known);
        _known.Clear();
        await Assert.ThrowsAsync<AuthenticationException>(() => HandshakeAsync(source, Known));
    }

    [Fact]
    public async Task A_name_of_any_legal_length_gets_a_certificate()
    {
        var label = new string('a', 63);
        var longest = $"{label}.{label}.{label}.{label[..61]}";
        _known.Add(longest);
        await using var source = await OpenAsync();
        await HandshakeAsync(source, longest);
    }

    [Fact]
    public async Task The_CA_is_made_once_and_its_key_is_for_the_owner_alone()
    {
        await (await OpenAsync()).DisposeAsync();
        var first = await File.ReadAllTextAsync(CaFile, Cancel);
        await using var again = await OpenAsync();

        Assert.Equal(first, await File.ReadAllTextAsync(CaFile, Cancel));
        Assert.DoesNotContain("PRIVATE", first, StringComparison.Ordinal);
        Assert.Equal("600", TemporaryDirectory.Mode(_directory.Combine("dev-ca-key.pem")));
        await HandshakeAsync(again, Known);
    }

    [Fact]
    public async Task A_certificate_is_reused_until_it_is_renewed_well_before_its_end()
    {
        await using var source = await OpenAsync();
        var first = source.Select(Known);
        Assert.Same(first, source.Select(Known.ToUpperInvariant()));
        _time.Advance(TimeSpan.FromDays(61));
        Assert.NotSame(first, source.Select(Known));
    }

    [Fact]
    public async Task A_CA_that_cannot_be_used_is_refused_with_the_way_out()
    {
        await (await OpenAsync()).DisposeAsync();
        await File.WriteAllTextAsync(CaFile, "no certificate", Cancel);
        var refusal = await Assert.ThrowsAsync<IOException>(OpenAsync);
        Assert.Contains($"Remove {CaFile}", refusal.Message, StringComparison.Ordinal);

        File.Delete(CaFile);
        await (await OpenAsync()).DisposeAsync();
        _time.Advance(TimeSpan.FromDays(3650));
        Assert.Contains("expires", (await Assert.ThrowsAsync<IOException>(OpenAsync)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Known, Known)]
    [InlineData("localhost", "localhost")]
    public async Task OpenSSL_verifies_chain_name_and_purpose_strictly(string sni, string hostname)
    {
        await using var source = await OpenAsync();
        var leaf = _directory.Combine("leaf.pem");
        await File.WriteAllTextAsync(leaf, source.Select(sni).TargetCertificate.ExportCertificatePem(), Cancel);

        using var openssl = Process.Start(new ProcessStartInfo(
            "openssl", ["verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", hostname, "-CAfile", CaFile, leaf])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var said = await openssl.StandardOutput.ReadToEndAsync(Cancel) + await openssl.StandardError.ReadToEndAsync(Cancel);
        await openssl.WaitForExitAsync(Cancel);
        Assert.True(openssl.ExitCode == 0, said);
    }

    private Task<DevelopmentCertificateSource> OpenAsync() =>
        DevelopmentCertificateSource.CreateAsync(_directory.Path, _known.Contains, _time, _log, Cancel);

    private async Task HandshakeAsync(ICertificateSource source, string hostname)
    {
        using var ca = X509Certificate2.CreateFromPem(await File.ReadAllTextAsync(CaFile, Cancel));
        await TestCertificates.HandshakeAsync(source, hostname, ca);
    }
}
