namespace Shared.Pooling.Postgres.Sql;

/// <summary>What a query string does to its session, in order. Reusable. Not safe for concurrent use.</summary>
internal sealed class SqlEffects
{
    private readonly List<SqlEffect> _effects = [];

    /// <summary>How many there are.</summary>
    public int Count => _effects.Count;

    /// <summary>How many statements the query string has.</summary>
    public int Statements { get; set; }

    public SqlEffect this[int index] => _effects[index];

    public void Add(in SqlEffect effect) => _effects.Add(effect);

    public void Clear()
    {
        _effects.Clear();
        Statements = 0;
    }

    public SqlEffect[] ToArray() => [.. _effects];
}
