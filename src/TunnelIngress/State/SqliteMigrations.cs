using System.Globalization;
using System.Reflection;
using Dapper;
using Microsoft.Data.Sqlite;

namespace TunnelIngress.State;

/// <summary>Brings a database to this program's version: Migrations/NNNN-name.sql in order, counted in SQLite's user_version.</summary>
internal static class SqliteMigrations
{
    private const string ResourcePrefix = "TunnelIngress.State.Migrations.";

    private static readonly Lazy<IReadOnlyList<(int Version, string Sql)>> All = new(ReadAll);

    /// <summary>The version this program writes.</summary>
    public static int Latest => All.Value[^1].Version;

    /// <summary>Applies what is missing, all of it or nothing. Several processes may do this at once.</summary>
    /// <exception cref="StateException">The database is newer than this program.</exception>
    public static async Task ApplyAsync(SqliteConnection connection, string path, CancellationToken cancellationToken)
    {
        // Looking first keeps an ordinary start from taking the write lock.
        if (await VersionAsync(connection, null) == Latest)
        {
            return;
        }

        await using var transaction = await SqliteDatabase.BeginWriteAsync(connection, cancellationToken);
        var version = await VersionAsync(connection, transaction);
        if (version > Latest)
        {
            throw new StateException(
                StateError.Newer,
                $"The state database {path} is of version {version}, and this program knows versions up to {Latest}. "
                + "Run the newer program, or restore the backup from before its upgrade.");
        }

        foreach (var migration in All.Value.Where(migration => migration.Version > version))
        {
            var sql = $"{migration.Sql}; PRAGMA user_version = {migration.Version}";
            await connection.ExecuteAsync(new CommandDefinition(sql, transaction: transaction, cancellationToken: cancellationToken));
        }

        await transaction.CommitAsync(cancellationToken);

        Task<int> VersionAsync(SqliteConnection source, SqliteTransaction? within) => source.ExecuteScalarAsync<int>(
            new CommandDefinition("PRAGMA user_version", transaction: within, cancellationToken: cancellationToken));
    }

    private static List<(int Version, string Sql)> ReadAll()
    {
        var assembly = Assembly.GetExecutingAssembly();
        var migrations = assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(ResourcePrefix, StringComparison.Ordinal))
            .Select(name => (Version: int.Parse(name.AsSpan(ResourcePrefix.Length, 4), CultureInfo.InvariantCulture), Sql: Read(assembly, name)))
            .OrderBy(migration => migration.Version)
            .ToList();
        return migrations;
    }

    private static string Read(Assembly assembly, string name)
    {
        using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
        return reader.ReadToEnd();
    }
}
