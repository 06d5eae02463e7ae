namespace Shared.Pooling.Postgres.Sql;

/// <summary>What a query string does to its session, in order. Reusable. Not safe for concurrent use.</summary>
internal sealed class SqlEffects
{
    /// <summary>How many a query string may have and still be kept account of.</summary>
    public const int Most = 1000;

    private const int BytesPerEffect = 128;

    // BEGIN and COMMIT come with every other transaction, and are the same each time.
    private static readonly SqlEffect[][] Plain = [.. Enum.GetValues<SqlEffectKind>().Select(static kind => new[] { new SqlEffect(kind, Statement: 0) })];

    private readonly List<SqlEffect> _effects = [];

    /// <summary>How many there are.</summary>
    public int Count => _effects.Count;

    /// <summary>True when there are more than anybody keeps account of.</summary>
    public bool IsFull => _effects.Count > Most;

    /// <summary>How many statements the query string has.</summary>
    public int Statements { get; set; }

    public SqlEffect this[int index] => _effects[index];

    /// <summary>Adds one, unless there are too many.</summary>
    public void Add(in SqlEffect effect)
    {
        if (!IsFull)
        {
            _effects.Add(effect);
        }
    }

    public void Clear()
    {
        _effects.Clear();
        Statements = 0;
    }

    /// <summary>About how many bytes of memory effects take.</summary>
    public static long SizeOf(SqlEffect[]? effects)
    {
        var size = 0L;
        foreach (var effect in effects ?? [])
        {
            size += BytesPerEffect + (sizeof(char) * ((effect.Name?.Length ?? 0L) + (effect.Replay?.Length ?? 0L)));
        }

        return size;
    }

    /// <summary>What there is now. Not to be changed: what says no more than its kind is shared.</summary>
    public SqlEffect[] ToArray() => _effects is [var only] && Plain[(int)only.Kind] is var plain && plain[0] == only ? plain : [.. _effects];
}
