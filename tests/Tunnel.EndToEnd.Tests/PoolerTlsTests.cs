using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Npgsql;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>The pooler's own TLS and its logins, as libpq sees them.</summary>
public sealed class PoolerTlsTests(PoolerTlsTests.RequiringTls pooler) : IClassFixture<PoolerTlsTests.RequiringTls>
{
    private const string Password = TunnelCluster.PoolerPassword;
    private const string Md5User = DriverTests.Md5User;
    private const string Encrypted = "SSL connection (protocol: TLSv1.3";

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("sslmode=prefer")]
    [InlineData("sslmode=require")]
    [InlineData("sslmode=verify-ca sslrootcert={ca}")]
    [InlineData("sslmode=verify-full sslrootcert={ca}")]
    [InlineData("sslmode=verify-ca sslrootcert={ca} host=elsewhere.example")]
    [InlineData("sslmode=verify-full sslrootcert={ca} channel_binding=require")]
    [InlineData("sslmode=require channel_binding=disable")]
    [InlineData("sslmode=require gssencmode=prefer")]
    [InlineData("sslmode=require gssencmode=disable")]
    [InlineData("sslmode=require user=old")]
    [InlineData("sslmode=require ssl_max_protocol_version=TLSv1.2 channel_binding=require", "SSL connection (protocol: TLSv1.2")]
    public async Task Psql_connects(string parameters, string expected = Encrypted)
    {
        var result = await PsqlAsync(parameters, Password, @"\conninfo", "select 40 + 2");

        Assert.Contains(expected, result.EnsureSuccess().Output, StringComparison.Ordinal);
        Assert.EndsWith("42\n", result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("sslmode=disable", "FATAL:  this pooler takes encrypted connections only; connect with sslmode=require or stricter")]
    [InlineData("sslmode=verify-full sslrootcert={ca} host=elsewhere.example", "server certificate for \"localhost\" does not match host name \"elsewhere.example\"")]
    [InlineData("sslmode=verify-full sslrootcert={other}", "certificate verify failed")]
    [InlineData("sslmode=verify-ca sslrootcert={other}", "certificate verify failed")]
    [InlineData("sslmode=require user=old channel_binding=require", "channel binding required")]
    public async Task Psql_is_refused(string parameters, string expected)
    {
        var result = await PsqlAsync(parameters, Password, "select 1");

        Assert.Equal(2, result.ExitCode);
        Assert.Contains(expected, result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(TunnelCluster.PoolerUser, "wrong")]
    [InlineData(Md5User, "wrong")]
    [InlineData("nobody", Password)]
    [InlineData("nobody", "wrong")]
    public async Task A_wrong_password_and_an_unknown_user_get_one_answer(string user, string password)
    {
        var result = await PsqlAsync($"sslmode=require user={user}", password, "select 1");

        Assert.Equal(2, result.ExitCode);
        Assert.Equal(
            $"psql: error: connection to server at \"127.0.0.1\", port {pooler.Address.Port} failed: FATAL:  password authentication failed for user \"{user}\"\n",
            result.Error);
    }

    [Fact]
    public async Task Direct_tls_needs_alpn()
    {
        await using var source = NpgsqlDataSource.Create(
            $"Host=localhost;Port={pooler.Address.Port};Username=app;Password={Password};Database=postgres;Pooling=false;"
            + $"SSL Mode=VerifyFull;Root Certificate={pooler.CaFile};SSL Negotiation=Direct;Channel Binding=Require");
        await using var command = source.CreateCommand("select 42");
        Assert.Equal(42, await command.ExecuteScalarAsync(Cancelled));

        Assert.True(await SpeaksDirectlyAsync([new SslApplicationProtocol("postgresql")]));
        Assert.False(await SpeaksDirectlyAsync([]));
        Assert.False(await SpeaksDirectlyAsync([SslApplicationProtocol.Http11]));
    }

    [Fact]
    public async Task Gss_encryption_is_refused_and_tls_may_follow()
    {
        using var client = new TcpClient();
        await client.ConnectAsync(pooler.Address, Cancelled);
        var stream = client.GetStream();

        Assert.Equal("N", await AskAsync(stream, 80877104));
        Assert.Equal("S", await AskAsync(stream, 80877103));
        await using var tls = new SslStream(stream);
        await tls.AuthenticateAsClientAsync(Verified([]), Cancelled);
        Assert.Equal("R", await LogInAsync(tls));
    }

    [Fact]
    public async Task A_query_is_cancelled_by_an_encrypted_request()
    {
        await using var source = NpgsqlDataSource.Create(
            $"Host=localhost;Port={pooler.Address.Port};Username=app;Password={Password};Database=postgres;Pooling=false;Timeout=60;Cancellation Timeout=60000;SSL Mode=VerifyFull;Root Certificate={pooler.CaFile}");
        await using var connection = await source.OpenConnectionAsync(Cancelled);

        await DatabaseClient.CancelSleepAsync(connection, pooler.Postgres, "encrypted");

        await DatabaseClient.AssertAnswersAsync(connection);
    }

    private Task<CommandResult> PsqlAsync(string parameters, string password, params string[] commands)
    {
        var all = $"host=localhost hostaddr=127.0.0.1 port={pooler.Address.Port} user=app dbname=postgres connect_timeout=60 {parameters}"
            .Replace("{ca}", pooler.CaFile, StringComparison.Ordinal).Replace("{other}", pooler.OtherCaFile, StringComparison.Ordinal);
        return CommandLine.RunAsync(
            "psql", ["-XAt", "-d", all, .. commands.SelectMany(static command => new[] { "-c", command })], new Dictionary<string, string> { ["PGPASSWORD"] = password });
    }

    private async Task<bool> SpeaksDirectlyAsync(List<SslApplicationProtocol> protocols)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(pooler.Address, Cancelled);
        await using var tls = new SslStream(client.GetStream());
        try
        {
            await tls.AuthenticateAsClientAsync(Verified(protocols), Cancelled);
            return await LogInAsync(tls) == "R";
        }
        catch (Exception exception) when (exception is AuthenticationException or IOException)
        {
            return false;
        }
    }

    private SslClientAuthenticationOptions Verified(List<SslApplicationProtocol> protocols)
    {
        var roots = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        roots.CustomTrustStore.ImportFromPemFile(pooler.CaFile);
        return new SslClientAuthenticationOptions { TargetHost = "localhost", ApplicationProtocols = protocols, CertificateChainPolicy = roots };
    }

    private static async Task<string> AskAsync(Stream stream, int code)
    {
        var request = new byte[8];
        BinaryPrimitives.WriteInt32BigEndian(request, request.Length);
        BinaryPrimitives.WriteInt32BigEndian(request.AsSpan(4), code);
        await stream.WriteAsync(request, Cancelled);
        return await FirstAsync(stream);
    }

    private static async Task<string> LogInAsync(SslStream stream)
    {
        byte[] body = [0, 3, 0, 0, .. "user\0app\0database\0postgres\0\0"u8];
        await stream.WriteAsync(new byte[] { 0, 0, 0, (byte)(body.Length + 4) }.Concat(body).ToArray(), Cancelled);
        return await FirstAsync(stream);
    }

    private static async Task<string> FirstAsync(Stream stream)
    {
        var answer = new byte[1];
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(TimeSpan.FromSeconds(90));
        return Encoding.ASCII.GetString(answer, 0, await stream.ReadAsync(answer, limit.Token));
    }

    /// <summary>A pooler that takes TLS only, with a certificate for localhost.</summary>
    public sealed class RequiringTls(ClusterFixture fixture) : IAsyncLifetime
    {
        private readonly string _directory = Directory.CreateTempSubdirectory("pooler-").FullName;
        private ProgramProcess _process = null!;

        public IPEndPoint Address { get; private set; } = null!;

        public PostgresServer Postgres => fixture.Postgres;

        public string CaFile => Path.Combine(_directory, "ca.pem");

        public string OtherCaFile => Path.Combine(_directory, "other.pem");

        public async ValueTask InitializeAsync()
        {
            using var authority = new TestAuthority();
            using var other = new TestAuthority();
            var (certificate, key) = (Path.Combine(_directory, "certificate.pem"), Path.Combine(_directory, "key.pem"));
            await authority.WriteRootAsync(CaFile);
            await other.WriteRootAsync(OtherCaFile);
            await authority.IssueAsync("localhost", certificate, key);
            var (process, addresses) = await PoolerFile.StartAsync(_directory, new
            {
                Listen = new List<string> { "127.0.0.1:0" },
                Tls = new { Certificate = certificate, Key = key, Required = true },
                Users = new Dictionary<string, object> { ["app"] = new { Password }, [Md5User] = new { Verifier = DriverTests.Md5Verifier } },
                Pools = new Dictionary<string, object> { ["postgres"] = PoolerFile.Pool(fixture.Cluster, "db", new() { ["Max"] = 3 }) },
            });
            (_process, Address) = (process, IPEndPoint.Parse(addresses[0]));
        }

        public async ValueTask DisposeAsync()
        {
            await _process.DisposeAsync();
            Directory.Delete(_directory, recursive: true);
        }
    }
}
