using System.Text;

namespace Shared.Pooling.Postgres.Sql;

/// <summary>
/// Finds what a query string does to its session or transaction, without parsing the rest of it: by the words that statements begin
/// with, and by the functions that leave something behind. Statements that do neither cost one pass and no allocation.
/// </summary>
internal static class SqlScanner
{
    /// <summary>The setting that says where unqualified names are looked for, and made.</summary>
    public const string SearchPath = "search_path";

    /// <summary>The setting that says how a client's texts are to be read.</summary>
    public const string ClientEncoding = "client_encoding";

    /// <summary>The setting that says whether a backslash means itself in plain strings.</summary>
    public const string StandardConformingStrings = "standard_conforming_strings";

    /// <summary>An identifier has so many bytes (NAMEDATALEN in PostgreSQL); what is longer is cut.</summary>
    private const int LongestName = 63;

    private const int MostPerCharacter = 3;

    /// <summary>Scans a query string of any number of statements.</summary>
    /// <param name="sql">The text.</param>
    /// <param name="standardConformingStrings">False when a backslash escapes in plain strings.</param>
    /// <param name="effects">Where the effects go; cleared first.</param>
    public static void Scan(ReadOnlySpan<byte> sql, bool standardConformingStrings, SqlEffects effects)
    {
        effects.Clear();
        var statement = new StatementScanner(sql, standardConformingStrings, effects);
        while (!effects.IsFull && statement.Next())
        {
            effects.Statements++;
        }

        if (effects.IsFull)
        {
            effects.Clear();
            effects.Add(new SqlEffect(SqlEffectKind.Unseen, Statement: 0));
        }
    }

    /// <summary>An identifier as PostgreSQL folds it: unquoted to lower case, quoted with its doubled quotes undone, each cut to its length.</summary>
    internal static string NameOf(ReadOnlySpan<byte> sql, in SqlToken token)
    {
        var text = Encoding.UTF8.GetString(sql[token.Text..token.TextEnd]);
        var name = token.Kind == SqlTokenKind.Word ? text.ToLowerInvariant() : text.Replace("\"\"", "\"", StringComparison.Ordinal);
        name = name.Length > LongestName ? name[..LongestName] : name;
        while (name.Length > LongestName / MostPerCharacter && (Encoding.UTF8.GetByteCount(name) > LongestName || char.IsHighSurrogate(name[^1])))
        {
            name = name[..^1];
        }

        return name;
    }

    /// <summary>A setting's name as SQL takes it: an application's own may have a keyword in it.</summary>
    internal static string QuoteName(string name) => name.Contains('.', StringComparison.Ordinal)
        ? string.Join('.', name.Split('.').Select(static part => $"\"{part.Replace("\"", "\"\"", StringComparison.Ordinal)}\""))
        : name;

    /// <summary>True for a setting that every transaction makes anew, so that there is nothing of it to follow a client.</summary>
    internal static bool IsOfTransaction(string name) => name is "transaction_isolation" or "transaction_read_only" or "transaction_deferrable";

    /// <summary>True when the statement that sets a search_path names pg_temp, or can in a way that does not show: by escapes, or a string in parts.</summary>
    internal static bool MayNameTemporary(string statement) =>
        statement.Contains("pg_temp", StringComparison.OrdinalIgnoreCase) || statement.AsSpan().ContainsAny('\\', '&')
        || (statement.Contains('\'', StringComparison.Ordinal) && statement.AsSpan().ContainsAny('\n', '\r'));

    /// <summary>True when the statement that sets a client_encoding certainly names one in which ASCII is always ASCII; no other name ends so.</summary>
    internal static bool NamesPlainEncoding(string statement)
    {
        var value = statement.AsSpan().TrimEnd("'\"");
        return value.EndsWith("utf8", StringComparison.OrdinalIgnoreCase) || value.EndsWith("utf-8", StringComparison.OrdinalIgnoreCase)
            || value.EndsWith("unicode", StringComparison.OrdinalIgnoreCase) || value.EndsWith("sql_ascii", StringComparison.OrdinalIgnoreCase)
            || value.EndsWith("latin1", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>True when the statement that sets a switch certainly sets it on, by that word.</summary>
    internal static bool SetsOn(string statement) => statement.AsSpan().TrimEnd("'\"").EndsWith("on", StringComparison.OrdinalIgnoreCase);

    /// <summary>A value as an SQL literal.</summary>
    internal static string Quote(string value) =>
        value.Contains('\\', StringComparison.Ordinal)
            ? $" E'{value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "''", StringComparison.Ordinal)}'"
            : $"'{value.Replace("'", "''", StringComparison.Ordinal)}'";
}
