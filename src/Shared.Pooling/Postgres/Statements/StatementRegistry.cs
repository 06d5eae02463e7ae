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
    private readonly Dictionary<Key, WeakReference<PreparedStatement>> _statements;
    private readonly Dictionary<Key, WeakReference<PreparedStatement>>.AlternateLookup<Lookup> _lookup;
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
        lock (_gate)
        {
            var lookup = new Lookup(definition, settings);
            if (_lookup.TryGetValue(lookup, out var reference) && reference.TryGetTarget(out var known))
            {
                return known;
            }

            var statement = PreparedStatement.Named(++_lastId, definition, settings, standardConformingStrings);
            _lookup[lookup] = new WeakReference<PreparedStatement>(statement);
            Sweep();
            return statement;
        }
    }

    private void Sweep()
    {
        if (_statements.Count < _sweepAt)
        {
            return;
        }

        foreach (var (key, reference) in _statements)
        {
            if (!reference.TryGetTarget(out _))
            {
                _statements.Remove(key);
            }
        }

        _sweepAt = Math.Max(FirstSweep, 2 * _statements.Count);
    }

    private readonly record struct Key(byte[] Definition, string Settings);

    private readonly ref struct Lookup(ReadOnlySpan<byte> definition, string settings)
    {
        public readonly ReadOnlySpan<byte> Definition = definition;
        public readonly string Settings = settings;
    }

    private sealed class Comparer : IEqualityComparer<Key>, IAlternateEqualityComparer<Lookup, Key>
    {
        public bool Equals(Key x, Key y) => Same(x.Definition, x.Settings, y.Definition, y.Settings);

        public bool Equals(Lookup alternate, Key other) => Same(alternate.Definition, alternate.Settings, other.Definition, other.Settings);

        public int GetHashCode([DisallowNull] Key obj) => Hash(obj.Definition, obj.Settings);

        public int GetHashCode(Lookup alternate) => Hash(alternate.Definition, alternate.Settings);

        public Key Create(Lookup alternate) => new(alternate.Definition.ToArray(), alternate.Settings);

        private static bool Same(ReadOnlySpan<byte> definition, string settings, ReadOnlySpan<byte> otherDefinition, string otherSettings) =>
            definition.SequenceEqual(otherDefinition) && string.Equals(settings, otherSettings, StringComparison.Ordinal);

        private static int Hash(ReadOnlySpan<byte> definition, string settings)
        {
            var hash = new HashCode();
            hash.AddBytes(definition);
            hash.Add(settings, StringComparer.Ordinal);
            return hash.ToHashCode();
        }
    }
}
