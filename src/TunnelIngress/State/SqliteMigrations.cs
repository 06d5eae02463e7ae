using System.Globalization;
using System.Reflection;
using Dapper;
using Microsoft.Data.Sqlite;

namespace TunnelIngress.State;

/// <summary>
/// Brings a database to this program's schema: the numbered scripts in State/Migrations, each once and in order, all in one
/// transaction. The number of the last one is SQLite's user_version.
/// </summary>
internal static class SqliteMigrations
{
    /// <summary>Applies what is missing.</summary>
    /// <exception cref="IOException">A newer program has upgraded the database.</exception>
    public static async Task ApplyAsync(SqliteConnection connection, CancellationToken cancellationToken)
    {
        var scripts = Scripts();
        var newest = scripts[^1].Number;

        // An ordinary start finds nothing to do, and must not wait for the write lock to see that.
        if (await connection.ExecuteScalarAsync<int>("PRAGMA user_version") == newest)
        {
            return;
        }

        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var current = await connection.ExecuteScalarAsync<int>("PRAGMA user_version", transaction: transaction);
        if (current > newest)
        {
            throw new IOException($"The state in {connection.DataSource} is of a newer release (schema {current}, this program knows {newest}). Upgrade this program.");
        }

        foreach (var (_, script) in scripts.Where(script => script.Number > current))
        {
            await connection.ExecuteAsync(script, transaction: transaction);
        }

        if (current < newest)
        {
            await connection.ExecuteAsync(string.Create(CultureInfo.InvariantCulture, $"PRAGMA user_version = {newest}"), transaction: transaction);
        }

        await transaction.CommitAsync(cancellationToken);
    }

    private static List<(int Number, string Script)> Scripts()
    {
        const string Folder = ".State.Migrations.";
        var assembly = Assembly.GetExecutingAssembly();
        return
        [
            .. assembly.GetManifestResourceNames()
                .Where(static name => name.Contains(Folder, StringComparison.Ordinal) && name.EndsWith(".sql", StringComparison.Ordinal))
                .Select(name =>
                {
                    var file = name[(name.IndexOf(Folder, StringComparison.Ordinal) + Folder.Length)..];
                    using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
                    return (int.Parse(file.AsSpan(0, 4), CultureInfo.InvariantCulture), reader.ReadToEnd());
                })
                .OrderBy(static script => script.Item1),
        ];
    }
}
