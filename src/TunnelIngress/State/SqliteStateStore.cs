using System.Data.Common;
using System.Text.Json;
using Dapper;
using Microsoft.Data.Sqlite;
using static TunnelIngress.State.SqliteRequirements;

namespace TunnelIngress.State;

/// <summary>The state in one SQLite file: durable before a change returns (WAL, synchronous=FULL), readable by its owner only.</summary>
internal sealed partial class SqliteStateStore : IStateStore
{
    /// <summary>
    /// So long an administrator's command waits until others have written, in seconds. Several that are started at once begin their program within
    /// their turn, which takes its time on a busy machine; and a command that has waited is better than one that has to be given again.
    /// </summary>
    public const int CommandBusyTimeoutSeconds = 60;

    private const int Full = 13;
    private const int ConstraintViolation = 19;
    private const int BusyTimeoutSeconds = 10;

    private readonly string _directory;
    private readonly string _connectionString;

    /// <summary>Names the store; nothing is opened yet.</summary>
    /// <param name="directory">The state directory; made with mode 0700 when it does not exist.</param>
    /// <param name="busyTimeoutSeconds">How long to wait until others have written.</param>
    public SqliteStateStore(string directory, int busyTimeoutSeconds = BusyTimeoutSeconds)
    {
        _directory = directory;
        Path = System.IO.Path.Combine(directory, "tunnel.db");
        _connectionString = new SqliteConnectionStringBuilder
        {
            DataSource = Path,
            ForeignKeys = true,
            DefaultTimeout = busyTimeoutSeconds,
        }.ToString();
    }

    /// <summary>The database file.</summary>
    public string Path { get; }

    /// <inheritdoc/>
    public async Task InitializeAsync(CancellationToken cancellationToken)
    {
        try
        {
            PrivateFiles.CreateDirectory(_directory);
            PrivateFiles.CreateIfAbsent(Path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Unusable(exception);
        }

        await UpgradeAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        try
        {
            File.GetAttributes(Path);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new StateException($"There is no state in {_directory}. Give --state, or create it with 'tunnel-ingress tunnel add'.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Unusable(exception);
        }

        await UpgradeAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public Task<long> GetRevisionAsync(CancellationToken cancellationToken) =>
        WithConnectionAsync(static connection => connection.ExecuteScalarAsync<long>("SELECT value FROM revision"), cancellationToken);

    /// <inheritdoc/>
    public Task<StateSnapshot> LoadAsync(CancellationToken cancellationToken) => WithConnectionAsync(SqliteSnapshot.ReadAsync, cancellationToken);

    /// <inheritdoc/>
    public Task AddTunnelAsync(Tunnel tunnel, CancellationToken cancellationToken) => ChangeAsync(
        (connection, transaction) => connection.ExecuteAsync(
            "INSERT INTO tunnel (name, created_at) VALUES (@Name, @At)",
            new { tunnel.Name, At = Milliseconds(tunnel.CreatedAt) },
            transaction),
        $"There is a tunnel '{tunnel.Name}' already.",
        cancellationToken);

    /// <inheritdoc/>
    public Task RemoveTunnelAsync(string name, DateTimeOffset now, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            var services = await connection.QueryAsync<string>("SELECT name FROM service WHERE tunnel = @name", new { name }, transaction);
            Require(!services.Any(), $"Tunnel '{name}' still owns services ({string.Join(", ", services)}). Remove them first with 'tunnel-ingress service remove'.");
            var usable = await connection.QueryAsync<string>(
                """
                SELECT client_id FROM token
                WHERE connect_tunnel = @name AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > @now)
                """,
                new { name, now = Milliseconds(now) },
                transaction);
            Require(!usable.Any(), $"Tokens still connect tunnel '{name}' ({string.Join(", ", usable)}). Revoke them first with 'tunnel-ingress token revoke'.");
            // Only dead ones are left. They go with it: without their tunnel nobody could tell what they were for.
            const string Dead = "(SELECT client_id FROM token WHERE connect_tunnel = @name)";
            await connection.ExecuteAsync(
                $"DELETE FROM token_secret WHERE client_id IN {Dead}; DELETE FROM token WHERE connect_tunnel = @name", new { name }, transaction);
            var removed = await connection.ExecuteAsync("DELETE FROM tunnel WHERE name = @name", new { name }, transaction);
            Require(removed == 1, $"There is no tunnel '{name}'. See 'tunnel-ingress tunnel list'.");
        },
        "",
        cancellationToken);

    /// <inheritdoc/>
    public Task AddServiceAsync(Service service, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            await RequireExistsAsync(connection, transaction, "tunnel", service.Tunnel);
            await connection.ExecuteAsync(
                "INSERT INTO service (name, hostname, tunnel, created_at) VALUES (@Name, @Hostname, @Tunnel, @At)",
                new { service.Name, service.Hostname, service.Tunnel, At = Milliseconds(service.CreatedAt) },
                transaction);
            await InsertWebAsync(connection, transaction, service.Name, service.Web);
        },
        $"There is a service '{service.Name}' or a hostname '{service.Hostname}' already. See 'tunnel-ingress service list'.",
        cancellationToken);

    /// <inheritdoc/>
    public Task<Service> SetServiceAsync(string name, Func<Service, Service> change, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            var state = await SqliteSnapshot.ReadAsync(connection, transaction);
            var changed = change(Existing(state, name));
            Require(
                !state.Services.Values.Any(other => other.Name != name && other.Hostname == changed.Hostname),
                $"There is a service with the hostname '{changed.Hostname}' already. See 'tunnel-ingress service list'.");
            Require(
                changed.Web is null || !state.Pools.ContainsKey(name),
                $"Service '{name}' has a pool, which speaks PostgreSQL. Remove it first with 'tunnel-ingress pool remove {name}'.");
            await connection.ExecuteAsync(
                "UPDATE service SET hostname = @Hostname WHERE name = @name; DELETE FROM web WHERE service = @name", new { name, changed.Hostname }, transaction);
            await InsertWebAsync(connection, transaction, name, changed.Web);
            return changed;
        },
        "",
        cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<Token>> RemoveServiceAsync(string name, CancellationToken cancellationToken) => ChangeAsync<IReadOnlyList<Token>>(
        async (connection, transaction) =>
        {
            var state = await SqliteSnapshot.ReadAsync(connection, transaction);
            Existing(state, name);
            await connection.ExecuteAsync("DELETE FROM service WHERE name = @name", new { name }, transaction);
            return [.. state.Tokens.Values.Where(token => token.Scope.MayAccess(name))];
        },
        "",
        cancellationToken);

    /// <inheritdoc/>
    public Task<Service> SetPoolAsync(string service, Func<ServicePool?, ServicePool> change, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            var state = await SqliteSnapshot.ReadAsync(connection, transaction);
            var pooled = Existing(state, service);
            Require(
                pooled.Web is null,
                $"Service '{service}' speaks HTTP, and a pool speaks PostgreSQL. Add a service of its own for the database with 'tunnel-ingress service add', "
                + $"or change this one with 'tunnel-ingress service set {service} --protocol tcp'.");
            var pool = change(state.Pools.GetValueOrDefault(service));
            await connection.ExecuteAsync(
                """
                INSERT INTO pool (service, settings, secret, updated_at) VALUES (@service, @Settings, @Secret, @At)
                ON CONFLICT (service) DO UPDATE SET settings = excluded.settings, secret = excluded.secret, updated_at = excluded.updated_at
                """,
                new
                {
                    service,
                    Settings = JsonSerializer.Serialize(pool.Settings.ToDictionary()),
                    Secret = pool.Secret.IsEmpty ? null : pool.Secret.ToArray(),
                    At = Milliseconds(pool.UpdatedAt),
                },
                transaction);
            return pooled;
        },
        "",
        cancellationToken);

    /// <inheritdoc/>
    public Task RemovePoolAsync(string service, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            var removed = await connection.ExecuteAsync("DELETE FROM pool WHERE service = @service", new { service }, transaction);
            Require(removed == 1, $"Service '{service}' has no pool. See 'tunnel-ingress pool list'.");
        },
        "",
        cancellationToken);

    private static Service Existing(StateSnapshot state, string name) =>
        state.Services.GetValueOrDefault(name) ?? throw new StateException($"There is no service '{name}'. See 'tunnel-ingress service list'.");

    private Task<bool> ChangeAsync(Func<SqliteConnection, DbTransaction, Task> change, string conflict, CancellationToken cancellationToken) => ChangeAsync(
        async (connection, transaction) =>
        {
            await change(connection, transaction);
            return true;
        },
        conflict,
        cancellationToken);

    /// <summary>
    /// One change: begin (taking the write lock) → read what it goes by → change → revision → commit. So of two processes at once the second one sees what
    /// the first one has done.
    /// </summary>
    private Task<T> ChangeAsync<T>(Func<SqliteConnection, DbTransaction, Task<T>> change, string conflict, CancellationToken cancellationToken) => WithConnectionAsync(
        async connection =>
        {
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            T result;
            try
            {
                result = await change(connection, transaction);
            }
            catch (SqliteException exception) when (exception.SqliteErrorCode == ConstraintViolation && conflict.Length > 0)
            {
                throw new StateException(conflict);
            }

            await connection.ExecuteAsync("UPDATE revision SET value = value + 1", transaction: transaction);
            await transaction.CommitAsync(cancellationToken);
            return result;
        },
        cancellationToken);

    private IOException Unusable(Exception exception) =>
        new($"The state in {_directory} cannot be opened: {exception.Message} Choose another directory with --state.", exception);

    private async Task UpgradeAsync(CancellationToken cancellationToken) => await WithConnectionAsync(
        async connection =>
        {
            await connection.ExecuteAsync("PRAGMA journal_mode = WAL");
            await SqliteMigrations.ApplyAsync(connection, cancellationToken);
            return true;
        },
        cancellationToken);

    /// <summary>One piece of work on a connection of its own; SQLite's errors (locked, full, damaged) come out naming the file.</summary>
    private async Task<T> WithConnectionAsync<T>(Func<SqliteConnection, Task<T>> work, CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = new SqliteConnection(_connectionString);
            await connection.OpenAsync(cancellationToken);
            await connection.ExecuteAsync("PRAGMA synchronous = FULL");
            return await work(connection);
        }
        catch (SqliteException exception) when (exception.SqliteErrorCode == Full)
        {
            throw new IOException($"The disk of the state is full; free some space where {Path} is and try again. Nothing was changed.", exception);
        }
        catch (SqliteException exception)
        {
            throw new IOException($"The state in {Path} failed: {exception.Message}", exception);
        }
    }

    private static async Task InsertWebAsync(SqliteConnection connection, DbTransaction transaction, string service, WebOrigin? web)
    {
        if (web is not null)
        {
            await connection.ExecuteAsync(
                """
                INSERT INTO web (service, tls, is_public, host_header, verify, ca, server_name, idle_seconds)
                VALUES (@Service, @Tls, @IsPublic, @HostHeader, @Verify, @Ca, @ServerName, @IdleSeconds)
                """,
                WebRow.From(service, web),
                transaction);
        }
    }

    private static long Milliseconds(DateTimeOffset time) => time.ToUnixTimeMilliseconds();

    private static long? Milliseconds(DateTimeOffset? time) => time?.ToUnixTimeMilliseconds();
}
