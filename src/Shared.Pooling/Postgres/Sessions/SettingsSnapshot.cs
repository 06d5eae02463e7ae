using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Shared.Pooling.Postgres.Sql;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// The settings that a client has made, each with the statement that makes it again: session authorization and role first, because what
/// may be set depends on them. Immutable; safe for concurrent use; equal settings are equal snapshots.
/// </summary>
internal sealed class SettingsSnapshot
{
    /// <summary>How many a client may have and still be kept account of.</summary>
    public const int Most = 1000;

    /// <summary>How many characters their names and statements may have together, likewise.</summary>
    public const int MostCharacters = 1024 * 1024;

    /// <summary>A key that would have more characters is a digest: it is kept with every statement that was prepared under it.</summary>
    private const int LongestKey = 256;

    /// <summary>Nothing was set.</summary>
    public static readonly SettingsSnapshot Empty = new(ImmutableSortedDictionary.Create<string, string>(Order.Instance), characters: 0);

    // They do not change what a statement means, only how long it may take or what is written about it.
    private static readonly HashSet<string> Meaningless = new(StringComparer.Ordinal)
    {
        "application_name", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout",
        "transaction_timeout", "client_min_messages", "log_min_messages", "log_statement", "log_duration", "work_mem", "maintenance_work_mem",
    };

    private readonly ImmutableSortedDictionary<string, string> _replays;
    private readonly int _characters;
    private string? _key;
    private string? _meaning;

    private SettingsSnapshot(ImmutableSortedDictionary<string, string> replays, int characters)
    {
        (_replays, _characters) = (replays, characters);
        Pin = replays.TryGetValue(SqlScanner.SearchPath, out var path) && SqlScanner.MayNameTemporary(path) ? Pins.Temporary : Pins.None;
    }

    /// <summary>A text for all of them: equal for equal settings, and for those only.</summary>
    public string Key => _key ??= KeyOf(_replays.Values);

    /// <summary>Likewise for those of them that change what a statement means.</summary>
    public string Meaning => _meaning ??= KeyOf(_replays.Where(static setting => !Meaningless.Contains(setting.Key)).Select(static setting => setting.Value));

    /// <summary>True when they are more than a client may have and still be kept account of.</summary>
    public bool IsTooLarge => _replays.Count > Most || _characters > MostCharacters;

    /// <summary>What keeps a client on its connection while they hold: under a search_path with pg_temp, anything that is made may be temporary.</summary>
    public Pins Pin { get; }

    /// <summary>What a client asks for in its startup message; the last of several wins.</summary>
    public static SettingsSnapshot FromStartup(IEnumerable<KeyValuePair<string, string>> settings)
    {
        var snapshot = Empty;
        foreach (var (name, value) in settings)
        {
            if (SqlScanner.IsOfTransaction(name))
            {
                continue;
            }

            snapshot = snapshot.With(name, $"SELECT pg_catalog.set_config({SqlScanner.Quote(name)},{SqlScanner.Quote(value)},false)");
        }

        return snapshot;
    }

    /// <summary>The statement that makes a setting; null when it was not made.</summary>
    public string? Find(string name) => _replays.GetValueOrDefault(name);

    /// <summary>These with one more.</summary>
    /// <param name="name">The setting, in lower case.</param>
    /// <param name="replay">The statement that makes it.</param>
    public SettingsSnapshot With(string name, string replay) =>
        _replays.TryGetValue(name, out var same) && same == replay ? this
        : new(_replays.SetItem(name, replay), _characters + replay.Length + (same is null ? name.Length : -same.Length));

    /// <summary>These without one.</summary>
    public SettingsSnapshot Without(string name) =>
        _replays.TryGetValue(name, out var replay) ? new(_replays.Remove(name), _characters - name.Length - replay.Length) : this;

    /// <summary>Those of these that RESET ALL leaves alone, over others.</summary>
    public SettingsSnapshot ResetAll(SettingsSnapshot defaults)
    {
        var left = defaults;
        foreach (var name in Order.Identity)
        {
            left = _replays.TryGetValue(name, out var replay) ? left.With(name, replay) : left.Without(name);
        }

        return left;
    }

    /// <summary>The statements that turn others into these; empty when they are equal.</summary>
    public string DifferenceFrom(SettingsSnapshot others)
    {
        if (ReferenceEquals(this, others) || string.Equals(Key, others.Key, StringComparison.Ordinal))
        {
            return "";
        }

        var statements = new List<string>();
        var identity = ChangesIdentity(others);
        foreach (var (name, _) in others._replays)
        {
            // Another user has other rights, so everything is made anew under it.
            // PostgreSQL has no default for the seed, and since version 16 refuses to reset it.
            if (!_replays.ContainsKey(name) && name != "seed")
            {
                statements.Add(name == "session_authorization" ? "RESET SESSION AUTHORIZATION" : $"RESET {SqlScanner.QuoteName(name)}");
            }
        }

        foreach (var (name, replay) in _replays)
        {
            if (identity || !others._replays.TryGetValue(name, out var same) || same != replay)
            {
                statements.Add(replay);
            }
        }

        return string.Join(";", statements);
    }

    /// <summary>True when these differ from others in who the session acts as.</summary>
    public bool ChangesIdentity(SettingsSnapshot others)
    {
        foreach (var name in Order.Identity)
        {
            if (_replays.GetValueOrDefault(name) != others._replays.GetValueOrDefault(name))
            {
                return true;
            }
        }

        return false;
    }

    private static string KeyOf(IEnumerable<string> replays)
    {
        var text = string.Join(';', replays);
        return text.Length <= LongestKey ? text : Convert.ToHexString(SHA256.HashData(MemoryMarshal.AsBytes(text.AsSpan())));
    }

    private sealed class Order : IComparer<string>
    {
        public static readonly Order Instance = new();
        public static readonly string[] Identity = ["session_authorization", "role"];

        public int Compare(string? x, string? y)
        {
            var (first, second) = (Rank(x), Rank(y));
            return first != second ? first.CompareTo(second) : string.CompareOrdinal(x, y);
        }

        private static int Rank(string? name) => name switch { "session_authorization" => 0, "role" => 1, _ => 2 };
    }
}
