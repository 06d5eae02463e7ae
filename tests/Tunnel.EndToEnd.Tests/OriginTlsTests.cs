using System.Net;
using Npgsql;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>TLS from the pooler to the database, inside the tunnel: the database takes nothing else.</summary>
public sealed class OriginTlsTests(OriginTlsTests.EncryptedDatabase database) : IClassFixture<OriginTlsTests.EncryptedDatabase>
{
    private const string Password = "s3cret of the database";
    private const string Name = "db.internal";

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_database_is_verified_through_the_tunnel()
    {
        var (process, addresses) = await PoolerFile.StartAsync(database.Directory, new
        {
            Listen = new List<string> { "127.0.0.1:0" },
            Users = new Dictionary<string, object> { [TunnelCluster.PoolerUser] = new { Password = TunnelCluster.PoolerPassword } },
            Pools = new Dictionary<string, object> { ["orders"] = Pool(database.CaFile, Name) },
        });
        await using var pooler = process;
        var address = IPEndPoint.Parse(addresses[0]);
        await using var source = NpgsqlDataSource.Create(
            $"Host={address.Address};Port={address.Port};Username={TunnelCluster.PoolerUser};Password={TunnelCluster.PoolerPassword};Database=orders;Timeout=60;SSL Mode=Disable");
        await using var command = source.CreateCommand("select ssl and version like 'TLSv1.%', current_user::text from pg_stat_ssl where pid = pg_backend_pid()");
        await using var reader = await command.ExecuteReaderAsync(Cancelled);

        Assert.True(await reader.ReadAsync(Cancelled));
        Assert.Equal((true, "orders"), (reader.GetBoolean(0), reader.GetString(1)));
    }

    [Fact]
    public async Task Check_accepts_the_right_one_and_names_the_hop_of_a_wrong_one()
    {
        var good = await PoolerFile.CheckAsync(database.Directory, Pool(database.CaFile, Name));
        Assert.Equal(0, good.ExitCode);
        Assert.Contains("ok     tried: PostgreSQL ", good.Output, StringComparison.Ordinal);
        Assert.Contains(", encrypted to the database,", good.Output, StringComparison.Ordinal);

        foreach (var wrong in new[] { Pool(database.OtherCaFile, Name), Pool(database.CaFile, "elsewhere.internal"), Pool(database.OtherCaFile, Name, "verify-ca"), Pool(database.CaFile, null) })
        {
            var result = await PoolerFile.CheckAsync(database.Directory, wrong);
            Assert.Equal(1, result.ExitCode);
            Assert.StartsWith("FAILED tried at tls: the certificate of the database does not verify: ", result.Output, StringComparison.Ordinal);
            Assert.Contains("Give the CA that signed it (CaFile) and the name that it carries (ServerName).", result.Output, StringComparison.Ordinal);
        }

        // verify-ca asks for the signer only, and require for nobody.
        Assert.Equal(0, (await PoolerFile.CheckAsync(database.Directory, Pool(database.CaFile, "elsewhere.internal", "verify-ca"))).ExitCode);
        Assert.Equal(0, (await PoolerFile.CheckAsync(database.Directory, Pool(database.OtherCaFile, "elsewhere.internal", "require"))).ExitCode);
        var plain = await PoolerFile.CheckAsync(database.Directory, Pool(database.CaFile, Name, "disable", bound: false));
        Assert.Equal(1, plain.ExitCode);
        Assert.StartsWith("FAILED tried at credentials: the database refuses user \"orders\": no pg_hba.conf entry", plain.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_pool_can_log_in_with_a_certificate()
    {
        var pool = Pool(database.CaFile, Name, bound: false);
        pool["User"] = "bycert";
        pool.Remove("Password");
        var without = await PoolerFile.CheckAsync(database.Directory, pool);
        Assert.Equal(1, without.ExitCode);
        Assert.Contains("at credentials", without.Output, StringComparison.Ordinal);

        pool["ClientCertificate"] = database.ClientCertificate;
        pool["ClientKey"] = database.ClientKey;

        Assert.Equal(0, (await PoolerFile.CheckAsync(database.Directory, pool)).ExitCode);
    }

    private Dictionary<string, object> Pool(string caFile, string? serverName, string mode = "verify-full", bool bound = true)
    {
        var pool = new Dictionary<string, object>
        {
            ["User"] = "orders",
            ["Password"] = Password,
            ["Tls"] = mode,
            ["CaFile"] = caFile,
            ["RequireChannelBinding"] = bound,
        };
        if (serverName is not null)
        {
            pool["ServerName"] = serverName;
        }

        return PoolerFile.Pool(database.Cluster, "db", pool);
    }

    /// <summary>A database that takes its user on TLS only, behind a tunnel.</summary>
    public sealed class EncryptedDatabase : IAsyncLifetime
    {
        private PostgresServer _database = null!;

        public TunnelCluster Cluster { get; private set; } = null!;

        public string Directory { get; } = System.IO.Directory.CreateTempSubdirectory("pooler-").FullName;

        public string CaFile => Path.Combine(Directory, "ca.pem");

        public string OtherCaFile => Path.Combine(Directory, "other.pem");

        public string ClientCertificate => Path.Combine(Directory, "client.pem");

        public string ClientKey => Path.Combine(Directory, "client.key");

        public async ValueTask InitializeAsync()
        {
            using var authority = new TestAuthority();
            using var other = new TestAuthority();
            await authority.WriteRootAsync(CaFile);
            await other.WriteRootAsync(OtherCaFile);
            await authority.IssueAsync("bycert", ClientCertificate, ClientKey);
            _database = await PostgresServer.StartAsync(
                async data =>
                {
                    await authority.IssueAsync(Name, Path.Combine(data, "server.crt"), Path.Combine(data, "server.key"));
                    await File.AppendAllTextAsync(Path.Combine(data, "postgresql.conf"), "\nssl = on\nssl_ca_file = 'root.crt'\n");
                    await authority.WriteRootAsync(Path.Combine(data, "root.crt"));
                    await File.WriteAllTextAsync(Path.Combine(data, "pg_hba.conf"), "local all postgres trust\nhostssl all orders 127.0.0.1/32 scram-sha-256\nhostssl all bycert 127.0.0.1/32 cert\n");
                },
                tcpPort: 0);
            (await _database.RunAsync("psql", "-Xqc", $"create role orders login password '{Password}'; create role bycert login", "postgres")).EnsureSuccess();
            Cluster = await TunnelCluster.StartAsync(new Dictionary<string, string> { ["db"] = $"tcp://127.0.0.1:{_database.Port}" });
            await Cluster.StartConnectorAsync();
        }

        public async ValueTask DisposeAsync()
        {
            await Cluster.DisposeAsync();
            await _database.DisposeAsync();
            System.IO.Directory.Delete(Directory, recursive: true);
        }
    }
}
