using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Shared.Pooling.Postgres.Origins;
using Shared.Streams.Dialing;
using Shared.Streams.Tls;
using Tunnel.Testing;

namespace Shared.Pooling.Tests.Origins;

/// <summary>Logins at a real PostgreSQL with passwords and TLS, over TCP on loopback.</summary>
[System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
public sealed class OriginLoginTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly X509Certificate2Collection _roots = [];
    private PostgresServer _server = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await PostgresServer.StartAsync(PrepareAsync, tcpPort: 0);
        foreach (var (role, encryption) in new[] { ("scram", "scram-sha-256"), ("md5", "md5"), ("clear", "scram-sha-256") })
        {
            (await _server.RunAsync("psql", "-qc", $"set password_encryption to '{encryption}'", "-c", $"create role {role} login password 'right'")).EnsureSuccess();
        }
    }

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    [Theory]
    [InlineData("scram", OriginTls.Disable)]
    [InlineData("scram", OriginTls.Prefer)]
    [InlineData("scram", OriginTls.Require)]
    [InlineData("scram", OriginTls.VerifyCa)]
    [InlineData("scram", OriginTls.VerifyFull)]
    [InlineData("md5", OriginTls.VerifyCa)]
    [InlineData("md5", OriginTls.VerifyFull)]
    [InlineData("clear", OriginTls.VerifyCa)]
    [InlineData("clear", OriginTls.VerifyFull)]
    public async Task Right_password_is_taken(string role, OriginTls tls)
    {
        await using var connection = await ConnectAsync(Origin(role, tls));

        Assert.Equal(tls != OriginTls.Disable, connection.Stream is TlsStream);
        Assert.NotEmpty(connection.Parameters["server_version"]);
        Assert.InRange(connection.CancelKey.Length, 4, 256);
    }

    [Theory]
    [InlineData("scram")]
    [InlineData("md5")]
    [InlineData("clear")]
    public async Task Wrong_password_is_named(string role)
    {
        var refused = await RefusedAsync(Origin(role, OriginTls.VerifyFull) with { Password = "wrong" });
        Assert.Equal(("credentials", "28P01"), (refused.Hop, refused.SqlState));
        var missing = await RefusedAsync(Origin(role, OriginTls.VerifyFull) with { Password = null });
        Assert.Equal("credentials", missing.Hop);
    }

    [Theory]
    [InlineData("md5", OriginTls.Disable, "the md5 of the password, but the connection is without TLS", true)]
    [InlineData("md5", OriginTls.Prefer, "the md5 of the password, but its certificate was not verified", true)]
    [InlineData("md5", OriginTls.Require, "the md5 of the password, but its certificate was not verified", true)]
    [InlineData("clear", OriginTls.Prefer, "the password in clear, but its certificate was not verified", true)]
    [InlineData("clear", OriginTls.Require, "the password in clear, but its certificate was not verified", true)]
    [InlineData("clear", OriginTls.Disable, "the password in clear, but the connection is without TLS", false)]
    public async Task Whoever_is_not_proven_to_be_the_database_gets_no_password(string role, OriginTls tls, string why, bool canBeAllowed)
    {
        var refused = await RefusedAsync(Origin(role, tls));
        Assert.Equal(("credentials", "28000"), (refused.Hop, refused.SqlState));
        Assert.Contains(why, refused.Message, StringComparison.Ordinal);
        Assert.Contains("Set the pool's Tls to verify-full, with the CaFile", refused.Hint, StringComparison.Ordinal);

        var allowed = Origin(role, tls) with { AllowUnverifiedPassword = true };
        if (canBeAllowed)
        {
            await using var connection = await ConnectAsync(allowed);
        }
        else
        {
            Assert.Contains(why, (await RefusedAsync(allowed)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Any_certificate_of_a_public_CA_proves_nothing_without_its_name()
    {
        Assert.True(Origin("clear", OriginTls.VerifyCa).ProvesOrigin);
        Assert.False((Origin("clear", OriginTls.VerifyCa) with { Roots = null }).ProvesOrigin);
        Assert.True((Origin("clear", OriginTls.VerifyFull) with { Roots = null }).ProvesOrigin);
    }

    [Fact]
    public async Task Certificate_that_does_not_verify_is_refused()
    {
        var origin = Origin("scram", OriginTls.VerifyFull);

        Assert.Equal("tls", (await RefusedAsync(origin with { ServerName = "other.example.com" })).Hop);
        Assert.Equal("tls", (await RefusedAsync(origin with { Roots = null })).Hop);
        Assert.Equal("tls", (await RefusedAsync(origin with { Roots = null, Tls = OriginTls.VerifyCa })).Hop);
        await using var name = await ConnectAsync(origin with { ServerName = "other.example.com", Tls = OriginTls.VerifyCa });
    }

    [Fact]
    public async Task Channel_binding_is_used_and_nothing_weaker_when_it_is_required()
    {
        await using var bound = await ConnectAsync(Origin("scram", OriginTls.VerifyFull) with { RequireChannelBinding = true });

        foreach (var weaker in new[] { Origin("scram", OriginTls.Disable), Origin("md5", OriginTls.VerifyFull), Origin("clear", OriginTls.VerifyFull) })
        {
            Assert.Contains("channel binding", (await RefusedAsync(weaker with { RequireChannelBinding = true })).Message, StringComparison.Ordinal);
        }
    }

    private static Task<OriginConnection> ConnectAsync(OriginOptions options) => new OriginConnector(options, TimeProvider.System).ConnectAsync(Cancelled).AsTask();

    private static Task<OriginException> RefusedAsync(OriginOptions options) => Assert.ThrowsAsync<OriginException>(() => ConnectAsync(options));

    private OriginOptions Origin(string role, OriginTls tls) => new()
    {
        Dialer = new TcpDialer("127.0.0.1", _server.Port, Patience, TimeProvider.System),
        Database = "postgres",
        User = role,
        Password = "right",
        Tls = tls,
        ServerName = "db.internal",
        Roots = _roots,
        ConnectTimeout = Patience,
    };

    private async Task PrepareAsync(string data)
    {
        using var caKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var caRequest = new CertificateRequest("CN=Test CA", caKey, HashAlgorithmName.SHA256);
        caRequest.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using var ca = caRequest.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=db.internal", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("db.internal");
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.Create(ca, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(12), [1, 2, 3, 4]);
        _roots.Add(X509CertificateLoader.LoadCertificate(ca.RawData));
        await File.WriteAllTextAsync(Path.Combine(data, "server.crt"), certificate.ExportCertificatePem(), Cancelled);
        await File.WriteAllTextAsync(Path.Combine(data, "server.key"), key.ExportPkcs8PrivateKeyPem(), Cancelled);
        File.SetUnixFileMode(Path.Combine(data, "server.key"), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await File.AppendAllTextAsync(Path.Combine(data, "postgresql.conf"), "ssl = on\n", Cancelled);
        await File.WriteAllTextAsync(
            Path.Combine(data, "pg_hba.conf"),
            "local all postgres trust\nhost all scram 127.0.0.1/32 scram-sha-256\nhost all md5 127.0.0.1/32 md5\nhost all clear 127.0.0.1/32 password\n", Cancelled);
    }
}
