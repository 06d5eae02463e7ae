using System.Diagnostics.CodeAnalysis;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Statements;

/// <summary>
/// The statements of one pool, so that clients that prepare the same one share it. Statements that nobody holds any more are
/// forgotten. Safe for concurrent use.
/// </summary>
internal sealed class StatementRegistry
{
    private const int FirstSweep = 1024;

    private readonly Lock _gate = new();
    private readonly HashSet<Entry> _statements;
    private readonly HashSet<Entry>.AlternateLookup<Lookup> _lookup;
    private long _lastId;
    private int _sweepAt = FirstSweep;

    public StatementRegistry()
    {
        _statements = new(new Comparer());
        _lookup = _statements.GetAlternateLookup<Lookup>();
    }

    /// <summary>The statement of a definition.</summary>
    /// <param name="definition">What follows the name in a Parse message.</param>
    /// <param name="settings">
    /// What the text's meaning depends on besides itself: PostgreSQL resolves names by search_path and reads literals by DateStyle when it
    /// parses, so the same text under other settings is another statement.
    /// </param>
    /// <param name="standardConformingStrings">How the text's literals are read.</param>
    /// <exception cref="ProtocolViolationException">The definition is malformed.</exception>
    public PreparedStatement Intern(ReadOnlySpan<byte> definition, string settings, bool standardConformingStrings)
    {
        // A long text takes its time, in which nobody else of the pool should wait: it is hashed, scanned and copied before the lock.
        var lookup = new Lookup(definition, settings);
        if (Find(lookup) is { } known)
        {
            return known;
        }

        var made = PreparedStatement.Named(Interlocked.Increment(ref _lastId), definition, settings, standardConformingStrings);
        lock (_gate)
        {
            if (Find(lookup) is { } other)
            {
                return other;
            }

            _statements.Add(new Entry(made, lookup.Hash));
            Sweep();
            return made;
        }
    }

    private PreparedStatement? Find(in Lookup lookup)
    {
        lock (_gate)
        {
            return _lookup.TryGetValue(lookup, out var entry) ? entry.Statement : null;
        }
    }

    private void Sweep()
    {
        if (_statements.Count >= _sweepAt)
        {
            _statements.RemoveWhere(static entry => entry.Statement is null);
            _sweepAt = Math.Max(FirstSweep, 2 * _statements.Count);
        }
    }

    // Holds nothing of its statement but the hash, so that what nobody uses any more takes no memory.
    private sealed class Entry(PreparedStatement statement, int hash)
    {
        private readonly WeakReference<PreparedStatement> _statement = new(statement);

        public int Hash => hash;

        public PreparedStatement? Statement => _statement.TryGetTarget(out var statement) ? statement : null;
    }

    private readonly ref struct Lookup
    {
        public readonly ReadOnlySpan<byte> Definition;
        public readonly string Settings;
        public readonly int Hash;

        public Lookup(ReadOnlySpan<byte> definition, string settings)
        {
            Definition = definition;
            Settings = settings;
            var hash = new HashCode();
            hash.AddBytes(definition);
            hash.Add(settings, StringComparer.Ordinal);
            Hash = hash.ToHashCode();
        }
    }

    private sealed class Comparer : IEqualityComparer<Entry>, IAlternateEqualityComparer<Lookup, Entry>
    {
        public bool Equals(Entry? x, Entry? y) => ReferenceEquals(x, y);

        public bool Equals(Lookup alternate, Entry other) => alternate.Hash == other.Hash && other.Statement is { } statement
            && alternate.Definition.SequenceEqual(statement.Definition) && string.Equals(alternate.Settings, statement.Meaning, StringComparison.Ordinal);

        public int GetHashCode([DisallowNull] Entry obj) => obj.Hash;

        public int GetHashCode(Lookup alternate) => alternate.Hash;

        public Entry Create(Lookup alternate) => throw new NotSupportedException();
    }
}
