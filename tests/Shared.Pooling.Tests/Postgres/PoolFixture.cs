using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Pools;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Sessions;
using Shared.Pooling.Tests.Postgres;
using Shared.Streams.Dialing;
using Tunnel.Testing;

[assembly: AssemblyFixture(typeof(PoolFixture))]

namespace Shared.Pooling.Tests.Postgres;

/// <summary>A real PostgreSQL, and poolers in this process before it.</summary>
public sealed class PoolFixture : IAsyncLifetime
{
    public const string Password = "correct horse";

    /// <summary>No limit of a pooler may be met only because the machine is busy.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    public PostgresServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Server = await PostgresServer.StartAsync();
        (await Server.RunAsync("psql", "-qc", """
            create table items (id int primary key, name text);
            insert into items select i, 'item ' || i from generate_series(1, 100) i;
            create schema other;
            create table other.items (id int primary key, price numeric);
            insert into other.items values (1, 9.5);
            create role reader;
            grant select on items to reader;
            create function fails() returns int language plpgsql as 'begin raise exception ''failed on purpose''; end';
            """)).EnsureSuccess();
    }

    public ValueTask DisposeAsync() => Server.DisposeAsync();

    /// <summary>A pooler whose one pool is "postgres"; its user app has <see cref="Password"/>.</summary>
    internal PostgresPooler StartPooler(
        int max, PoolMode mode = PoolMode.Transaction, PostgresPoolOptions? options = null, PoolEvents? events = null, OriginOptions? origin = null,
        TimeSpan? waitTimeout = null, HandshakeOptions? handshake = null, TimeProvider? time = null) => new(
        Configuration(new PoolDefinition(origin ?? Origin, (options ?? new PostgresPoolOptions()) with
        {
            Mode = mode,
            Connections = new PoolOptions { Max = max, WaitTimeout = waitTimeout ?? Patience },
        })) with
        {
            Handshake = handshake ?? new HandshakeOptions { LoginTimeout = Patience },
        },
        events ?? new PoolEvents(),
        time ?? TimeProvider.System);

    /// <summary>A pooler with one connection, and clients who wait three seconds for it, by a clock that only the test moves.</summary>
    internal PostgresPooler StartImpatientPooler(FakeTimeProvider time) => StartPooler(max: 1, waitTimeout: TimeSpan.FromSeconds(3), time: time);

    /// <summary>A configuration whose one pool is "postgres"; its user app has <see cref="Password"/>.</summary>
    internal static PoolerConfiguration Configuration(PoolDefinition pool, IClientDirectory? directory = null) => new()
    {
        Directory = directory ?? new FixedDirectory(),
        Pools = new Dictionary<string, PoolDefinition> { ["postgres"] = pool },
        Administrators = new HashSet<string> { "app" },
    };

    /// <summary>Asks PostgreSQL itself.</summary>
    internal async Task<string> ScalarAsync(string sql) => (await Server.RunAsync("psql", "-Atc", sql)).EnsureSuccess().Output.Trim();

    internal OriginOptions Origin => new()
    {
        Dialer = new UnixDialer(Server.SocketPath, Patience, TimeProvider.System),
        Database = "postgres",
        User = "postgres",
        IsLocal = true,
        ConnectTimeout = Patience,
    };

    private sealed class FixedDirectory : IClientDirectory
    {
        private readonly ClientCredential _app = ClientCredential.FromPassword(Password);

        public ValueTask<ClientAdmission> FindAsync(ClientRequest request, CancellationToken cancellationToken) =>
            new(new ClientAdmission(request.Database, request.Database, request.User == "app" ? _app : null));
    }
}
