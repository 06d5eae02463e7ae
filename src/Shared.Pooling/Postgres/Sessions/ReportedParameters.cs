using System.Collections.Immutable;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>The parameters a server reports by ParameterStatus. Immutable; safe for concurrent use; equal when all are equal.</summary>
internal sealed class ReportedParameters : IEquatable<ReportedParameters>
{
    /// <summary>All names and values together may have so many characters; a PostgreSQL reports a few hundred.</summary>
    private const int MostCharacters = 64 * 1024;

    /// <summary>Nothing was reported yet.</summary>
    public static readonly ReportedParameters None = new([]);

    private readonly ImmutableSortedDictionary<string, string> _values;

    public ReportedParameters(IEnumerable<KeyValuePair<string, string>> values)
    {
        _values = values.ToImmutableSortedDictionary(StringComparer.Ordinal, StringComparer.Ordinal);
    }

    /// <summary>The value of a parameter, or null when it is not reported.</summary>
    public string? this[string name] => _values.GetValueOrDefault(name);

    /// <summary>All of them.</summary>
    public IEnumerable<KeyValuePair<string, string>> Values => _values;

    /// <summary>These with one that has changed.</summary>
    /// <exception cref="ProtocolViolationException">No honest server reports so much.</exception>
    public ReportedParameters With(string name, string value)
    {
        var values = _values.SetItem(name, value);
        return values.Sum(static pair => pair.Key.Length + pair.Value.Length) <= MostCharacters
            ? new(values)
            : throw new ProtocolViolationException("the server reports too many parameters");
    }

    /// <inheritdoc/>
    public bool Equals(ReportedParameters? other) => ReferenceEquals(this, other) || (other is not null && _values.SequenceEqual(other._values));

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as ReportedParameters);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = default(HashCode);
        foreach (var (name, value) in _values)
        {
            hash.Add(name, StringComparer.Ordinal);
            hash.Add(value, StringComparer.Ordinal);
        }

        return hash.ToHashCode();
    }

    /// <summary>Writes the ParameterStatus messages that bring a client that knows others up to date.</summary>
    public void WriteDifference(ReportedParameters known, MessageWriter writer)
    {
        if (ReferenceEquals(this, known))
        {
            return;
        }

        foreach (var (name, value) in _values)
        {
            if (!string.Equals(known[name], value, StringComparison.Ordinal))
            {
                writer.Begin(BackendMessage.ParameterStatus).CString(name).CString(value).End();
            }
        }
    }
}
