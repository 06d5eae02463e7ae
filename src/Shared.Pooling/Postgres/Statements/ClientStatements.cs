using System.Text;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Statements;

/// <summary>One client's names for its statements. Not safe for concurrent use.</summary>
internal sealed class ClientStatements
{
    /// <summary>How many bytes the name of a statement or portal may have; drivers use a tenth of it.</summary>
    public const int LongestName = 256;

    /// <summary>How many names a client may give.</summary>
    public const int Most = 10_000;

    /// <summary>How many bytes a client's names and the statements behind them may have together.</summary>
    public const int MostBytes = 32 * 1024 * 1024;

    // Many clients never name one.
    private Dictionary<string, PreparedStatement>? _named;
    private long _bytes;

    /// <summary>How many have a name.</summary>
    public int Count => _named?.Count ?? 0;

    /// <summary>
    /// The definition of the unnamed statement, kept so that a Bind that comes after a Sync finds it on any server connection; null when
    /// there is none.
    /// </summary>
    public PreparedStatement? Unnamed { get; set; }

    /// <summary>The statement of a name, or null.</summary>
    public PreparedStatement? Find(ReadOnlySpan<byte> name) => Find(name, out _);

    /// <summary>The statement of a name, or null.</summary>
    /// <param name="name">The name.</param>
    /// <param name="known">The name as <see cref="NameOf"/> gives it, without making it anew; null when there is no such statement.</param>
    public PreparedStatement? Find(ReadOnlySpan<byte> name, out string? known)
    {
        known = null;
        if (_named is null || _named.Count == 0)
        {
            return null;
        }

        if (name.Length > LongestName)
        {
            return null;
        }

        Span<char> text = stackalloc char[LongestName];
        var length = Encoding.Latin1.GetChars(name, text);
        return _named.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(text[..length], out known, out var statement) ? statement : null;
    }

    /// <summary>Why a client may not give this name to another statement; null when it may.</summary>
    /// <param name="name">The name.</param>
    /// <param name="length">How many bytes the statement has.</param>
    public PostgresError? Refusal(ReadOnlySpan<byte> name, int length) =>
        name.Length > LongestName ? NameTooLong("a statement", name.Length)
        : Count >= Most ? TooMuch($"a client may have {Most} prepared statements with names")
        : _bytes + name.Length + length > MostBytes ? TooMuch($"a client's prepared statements with names may have {MostBytes >> 20} MiB together")
        : null;

    /// <summary>Gives a statement a name.</summary>
    public void Set(string name, PreparedStatement statement)
    {
        Remove(name);
        (_named ??= new(StringComparer.Ordinal)).Add(name, statement);
        _bytes += name.Length + statement.Size;
    }

    /// <summary>Takes a name away; when given, only from that statement.</summary>
    public void Remove(string name, PreparedStatement? statement = null)
    {
        if (_named?.GetValueOrDefault(name) is { } known && (statement is null || known == statement))
        {
            _named.Remove(name);
            _bytes -= name.Length + known.Size;
        }
    }

    /// <summary>Forgets all, the unnamed one too.</summary>
    public void Clear()
    {
        _named?.Clear();
        _bytes = 0;
        Unnamed = null;
    }

    /// <summary>The refusal of a name.</summary>
    public static PostgresError NameTooLong(string what, int length) => PostgresError.Error(
        SqlState.ProgramLimitExceeded, $"the name of {what} has {length} bytes; it may have {LongestName}");

    private static PostgresError TooMuch(string message) => PostgresError.Error(SqlState.ProgramLimitExceeded, message) with
    {
        Hint = "Close those that are not used any more, or lower the driver's number of prepared statements.",
    };

    /// <summary>A name as this class wants it: each byte one character, so that every encoding is kept as it is.</summary>
    public static string NameOf(ReadOnlySpan<byte> name) => Encoding.Latin1.GetString(name);
}
