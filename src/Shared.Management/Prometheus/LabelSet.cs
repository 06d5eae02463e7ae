using System.Globalization;

namespace Shared.Management.Prometheus;

/// <summary>The labels of one series: how two sets are told apart, and their text. An instrument always gives its labels in the same order.</summary>
internal sealed class LabelSet
    : IEqualityComparer<KeyValuePair<string, object?>[]>, IAlternateEqualityComparer<ReadOnlySpan<KeyValuePair<string, object?>>, KeyValuePair<string, object?>[]>
{
    public static readonly LabelSet Comparer = new();

    private LabelSet()
    {
    }

    /// <summary>The labels as Prometheus reads them, by name and without braces: no value can break out of its line.</summary>
    public static string TextOf(IEnumerable<KeyValuePair<string, object?>> labels) => string.Join(',', labels
        .OrderBy(static label => label.Key, StringComparer.Ordinal)
        .Select(static label => $"{label.Key.Replace('.', '_')}=\"{Escape(Convert.ToString(label.Value, CultureInfo.InvariantCulture), quotes: true)}\""));

    /// <summary>A text that ends no line, and no value.</summary>
    public static string Escape(string? text, bool quotes)
    {
        var escaped = (text ?? "").Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
        return quotes ? escaped.Replace("\"", "\\\"", StringComparison.Ordinal) : escaped;
    }

    /// <inheritdoc/>
    public bool Equals(KeyValuePair<string, object?>[]? x, KeyValuePair<string, object?>[]? y) => x is null || y is null ? ReferenceEquals(x, y) : Equals(x.AsSpan(), y);

    /// <inheritdoc/>
    public int GetHashCode(KeyValuePair<string, object?>[] obj) => GetHashCode(obj.AsSpan());

    /// <inheritdoc/>
    public KeyValuePair<string, object?>[] Create(ReadOnlySpan<KeyValuePair<string, object?>> alternate) => alternate.ToArray();

    /// <inheritdoc/>
    public bool Equals(ReadOnlySpan<KeyValuePair<string, object?>> alternate, KeyValuePair<string, object?>[] other)
    {
        if (alternate.Length != other.Length)
        {
            return false;
        }

        for (var i = 0; i < other.Length; i++)
        {
            if (alternate[i].Key != other[i].Key || !Equals(alternate[i].Value, other[i].Value))
            {
                return false;
            }
        }

        return true;
    }

    /// <inheritdoc/>
    public int GetHashCode(ReadOnlySpan<KeyValuePair<string, object?>> alternate)
    {
        var hash = default(HashCode);
        foreach (var (key, value) in alternate)
        {
            hash.Add(key);
            hash.Add(value);
        }

        return hash.ToHashCode();
    }
}
