using System.Text;

namespace Shared.Pooling.Postgres.Statements;

/// <summary>One client's names for its statements. Not safe for concurrent use.</summary>
internal sealed class ClientStatements
{
    // Many clients never name one.
    private Dictionary<string, PreparedStatement>? _named;

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

        if (name.Length > 256)
        {
            return _named.GetValueOrDefault(known = NameOf(name));
        }

        Span<char> text = stackalloc char[256];
        var length = Encoding.Latin1.GetChars(name, text);
        return _named.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(text[..length], out known, out var statement) ? statement : null;
    }

    /// <summary>Gives a statement a name.</summary>
    public void Set(string name, PreparedStatement statement) => (_named ??= new(StringComparer.Ordinal))[name] = statement;

    /// <summary>Takes a name away; when given, only from that statement.</summary>
    public void Remove(string name, PreparedStatement? statement = null)
    {
        if (_named is not null && (statement is null || _named.GetValueOrDefault(name) == statement))
        {
            _named.Remove(name);
        }
    }

    /// <summary>Forgets all, the unnamed one too.</summary>
    public void Clear()
    {
        _named?.Clear();
        Unnamed = null;
    }

    /// <summary>A name as this class wants it: each byte one character, so that every encoding is kept as it is.</summary>
    public static string NameOf(ReadOnlySpan<byte> name) => Encoding.Latin1.GetString(name);
}
