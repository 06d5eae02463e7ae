using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Sql;

namespace Shared.Pooling.Postgres.Statements;

/// <summary>What executing one client's portals does to its session. Not safe for concurrent use.</summary>
internal sealed class ClientPortals
{
    /// <summary>How many named ones of a transaction are kept account of.</summary>
    public const int Most = 10_000;

    /// <summary>How many bytes of memory what they do may take.</summary>
    private const int MostBytes = 32 * 1024 * 1024;

    // Many clients never name one, and most portals do nothing to the session.
    private Dictionary<string, SqlEffect[]?>? _named;
    private SqlEffect[]? _unnamed;
    private long _bytes;

    /// <summary>Why there cannot be another portal of this name; null when there can.</summary>
    /// <param name="name">The name.</param>
    /// <param name="effects">What the portal does.</param>
    public PostgresError? Refusal(ReadOnlySpan<byte> name, SqlEffect[]? effects) =>
        name.Length > ClientStatements.LongestName ? ClientStatements.NameTooLong("a portal", name.Length)
        : name.IsEmpty ? null
        : _named?.Count >= Most ? TooMuch($"a transaction may have {Most} named portals")
        : effects is not null && _bytes + SqlEffects.SizeOf(effects) > MostBytes ? TooMuch($"what named portals change in the session may have {MostBytes >> 20} MiB together")
        : null;

    /// <summary>Notes what a portal does when it is executed; null when nothing.</summary>
    public void Set(ReadOnlySpan<byte> name, SqlEffect[]? effects)
    {
        if (name.IsEmpty)
        {
            _unnamed = effects;
        }
        else if (effects is not null || _named is not null)
        {
            var named = _named ??= new(StringComparer.Ordinal);
            var text = ClientStatements.NameOf(name);
            _bytes += SqlEffects.SizeOf(effects) - SqlEffects.SizeOf(named.GetValueOrDefault(text));
            named[text] = effects;
        }
    }

    /// <summary>What a portal does when it is executed; null when nothing.</summary>
    public SqlEffect[]? EffectsOf(ReadOnlySpan<byte> name) =>
        name.IsEmpty ? _unnamed : _named?.GetValueOrDefault(ClientStatements.NameOf(name));

    /// <summary>Forgets one that is closed.</summary>
    public void Remove(ReadOnlySpan<byte> name)
    {
        if (name.IsEmpty)
        {
            _unnamed = null;
        }
        else if (_named is not null && _named.Remove(ClientStatements.NameOf(name), out var effects))
        {
            _bytes -= SqlEffects.SizeOf(effects);
        }
    }

    /// <summary>Forgets all: they end with their transaction.</summary>
    public void Clear() => (_named, _unnamed, _bytes) = (null, null, 0);

    private static PostgresError TooMuch(string message) => PostgresError.Error(SqlState.ProgramLimitExceeded, message) with
    {
        Hint = "End the transaction, or use the unnamed portal.",
    };
}
