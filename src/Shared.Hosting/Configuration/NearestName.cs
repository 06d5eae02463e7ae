namespace Shared.Hosting.Configuration;

/// <summary>Finds the name that a mistyped one was meant to be.</summary>
internal static class NearestName
{
    private const int LettersPerMistake = 4;

    /// <summary>The nearest of the names; null when none is near. Upper and lower case are the same.</summary>
    public static string? Of(string mistyped, IEnumerable<string> names)
    {
        var nearest = names
            .Select(name => (Name: name, Distance: Distance(mistyped.ToUpperInvariant(), name.ToUpperInvariant())))
            .OrderBy(static candidate => candidate.Distance)
            .FirstOrDefault();
        return nearest.Name is not null && nearest.Distance <= 1 + (mistyped.Length / LettersPerMistake) ? nearest.Name : null;
    }

    // How many letters must be added, removed or replaced (Levenshtein).
    private static int Distance(string from, string to)
    {
        var row = Enumerable.Range(0, to.Length + 1).ToArray();
        for (var i = 1; i <= from.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= to.Length; j++)
            {
                var replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[^1];
    }
}
