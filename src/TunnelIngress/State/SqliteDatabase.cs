using Dapper;
using Microsoft.Data.Sqlite;

namespace TunnelIngress.State;

/// <summary>The SQLite file: where it is, who may read it, how it is opened, and how its errors are told.</summary>
internal sealed class SqliteDatabase : IAsyncDisposable
{
    public const string FileName = "state.db";

    private const int NotADatabase = 26;
    private const int BusyTimeoutMilliseconds = 5000;

    private readonly string _path;
    private readonly string _connectionString;

    private SqliteDatabase(string path)
    {
        _path = path;
        _connectionString = new SqliteConnectionStringBuilder
        {
            DataSource = path,

            // The file was made before, with its mode; SQLite must not make another one should it vanish.
            Mode = SqliteOpenMode.ReadWrite,
            ForeignKeys = true,
            DefaultTimeout = BusyTimeoutMilliseconds / 1000,
        }.ToString();
    }

    /// <summary>Opens the database of a state directory; makes either where missing (modes 0600 and 0700), and migrates.</summary>
    /// <exception cref="StateException">It cannot be made or opened, others may write it, or a newer program has migrated it.</exception>
    public static async Task<SqliteDatabase> OpenAsync(string stateDirectory, CancellationToken cancellationToken)
    {
        var path = Path.Combine(Path.GetFullPath(stateDirectory), FileName);
        CreateFile(path);
        var database = new SqliteDatabase(path);
        await database.RunAsync(
            async (connection, token) =>
            {
                await connection.ExecuteAsync(new CommandDefinition("PRAGMA journal_mode = WAL", cancellationToken: token));
                await SqliteMigrations.ApplyAsync(connection, path, token);
                return true;
            },
            cancellationToken);
        return database;
    }

    /// <summary>Runs one piece of work on a connection of its own. SQLite's errors come out as <see cref="StateException"/>.</summary>
    public async Task<T> RunAsync<T>(Func<SqliteConnection, CancellationToken, Task<T>> work, CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = new SqliteConnection(_connectionString);
            await connection.OpenAsync(cancellationToken);

            // FULL: with WAL, NORMAL may lose acknowledged commits when the power fails.
            await connection.ExecuteAsync(new CommandDefinition(
                $"PRAGMA busy_timeout = {BusyTimeoutMilliseconds}; PRAGMA synchronous = FULL", cancellationToken: cancellationToken));
            return await work(connection, cancellationToken);
        }
        catch (SqliteException exception)
        {
            var hint = exception.SqliteErrorCode == NotADatabase ? " It is not a state database; restore it from a backup or move it away." : "";
            throw new StateException(StateError.Unavailable, $"The state database {_path} failed: {exception.Message}.{hint}", exception);
        }
    }

    /// <summary>A transaction that sees one revision and blocks nobody.</summary>
    public static SqliteTransaction BeginRead(SqliteConnection connection)
    {
#pragma warning disable CA1849 // No asynchronous overload can ask for a deferred transaction; it does no I/O either.
        return connection.BeginTransaction(deferred: true);
#pragma warning restore CA1849
    }

    /// <summary>A transaction that holds the write lock from its start: its checks are true until its commit, whatever others do.</summary>
    public static async Task<SqliteTransaction> BeginWriteAsync(SqliteConnection connection, CancellationToken cancellationToken) =>
        (SqliteTransaction)await connection.BeginTransactionAsync(cancellationToken);

    public ValueTask DisposeAsync()
    {
        // Without this a pooled connection keeps the file and its write-ahead log open for minutes.
        using var connection = new SqliteConnection(_connectionString);
        SqliteConnection.ClearPool(connection);
        return ValueTask.CompletedTask;
    }

    private static void CreateFile(string path)
    {
        try
        {
            PrivateFile.CreateDirectory(Path.GetDirectoryName(path)!);
            using (PrivateFile.Open(path, FileMode.OpenOrCreate))
            {
            }

            if (PrivateFile.IsWritableByOthers(path))
            {
                throw new StateException(StateError.Unavailable, $"The state database {path} can be written by others. Run: chmod 600 {path}");
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StateException(
                StateError.Unavailable,
                $"The state database {path} cannot be opened: {exception.Message} Name another directory with --state, or run as its owner.",
                exception);
        }
    }
}
