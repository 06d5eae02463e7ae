using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Sql;

namespace Shared.Pooling.Postgres.Statements;

/// <summary>What executing one client's portals does to its session. Not safe for concurrent use.</summary>
internal sealed class ClientPortals
{
    /// <summary>How many named ones of a transaction are kept account of.</summary>
    public const int Most = 10_000;

    // Many clients never name one, and most portals do nothing to the session.
    private Dictionary<string, SqlEffect[]?>? _named;
    private SqlEffect[]? _unnamed;

    /// <summary>Why there cannot be another portal of this name; null when there can.</summary>
    public PostgresError? Refusal(ReadOnlySpan<byte> name) =>
        name.Length > ClientStatements.LongestName ? ClientStatements.NameTooLong("a portal", name.Length)
        : _named?.Count >= Most && !name.IsEmpty ? PostgresError.Error(SqlState.ProgramLimitExceeded, $"a transaction may have {Most} named portals") with
        {
            Hint = "End the transaction, or use the unnamed portal.",
        }
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
            (_named ??= new(StringComparer.Ordinal))[ClientStatements.NameOf(name)] = effects;
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
        else
        {
            _named?.Remove(ClientStatements.NameOf(name));
        }
    }

    /// <summary>Forgets all: they end with their transaction.</summary>
    public void Clear() => (_named, _unnamed) = (null, null);
}
