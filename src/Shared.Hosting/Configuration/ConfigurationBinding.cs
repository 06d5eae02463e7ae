using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Shared.Hosting.Logging;

namespace Shared.Hosting.Configuration;

/// <summary>
/// Binds keys and values to options, and says all that is wrong with them at once and in the words of docs/configuration.md: keys that there are
/// not, and values of the wrong kind.
/// </summary>
public static class ConfigurationBinding
{
    private static readonly Dictionary<string, string> Kinds = new(StringComparer.Ordinal)
    {
        [typeof(int).FullName!] = "a whole number",
        [typeof(bool).FullName!] = "true or false",
        [typeof(LogFormat).FullName!] = "text or json",
        [typeof(LogLevel).FullName!] = "Trace, Debug, Information, Warning or Error",
    };

    /// <summary>Binds.</summary>
    /// <param name="configuration">The keys and values.</param>
    /// <param name="bind">The program's own binding call, so that the compiler generates it.</param>
    /// <param name="sourceOf">Where a key is written, e.g. <c>option --grace</c>; null when that says nothing.</param>
    /// <exception cref="ConfigurationException">Names each key that is wrong, and where it is written.</exception>
    public static T Bind<T>(IConfigurationRoot configuration, Func<IConfiguration, T?> bind, Func<string, string?> sourceOf)
        where T : new()
    {
        var asked = new AskedKeys();
        var problems = new List<string>();
        while (true)
        {
            try
            {
                var options = bind(new ObservedSection(configuration, "", asked)) ?? new T();
                problems.AddRange(WrongKeys(configuration, asked, sourceOf));
                return problems.Count == 0 ? options : throw new ConfigurationException(problems);
            }
            catch (InvalidOperationException exception) when (asked.LastRead is not null)
            {
                // The binder stops at the first value that it cannot convert, which is the one it has just read.
                var key = asked.LastRead;
                problems.Add($"{key}: '{configuration[key]}' cannot be used{Quoted(sourceOf(key))}; write {KindOf(exception)}.");
                if (!asked.Hide(key))
                {
                    throw;
                }
            }
        }
    }

    private static IEnumerable<string> WrongKeys(IConfigurationRoot configuration, AskedKeys asked, Func<string, string?> sourceOf)
    {
        var all = configuration.AsEnumerable().Select(pair => (pair.Key, pair.Value, Unknown: asked.UnknownIn(pair.Key))).ToArray();
        foreach (var unknown in all.Where(static pair => pair.Unknown is not null).GroupBy(static pair => pair.Unknown!, StringComparer.OrdinalIgnoreCase))
        {
            // A key that only holds others is written nowhere itself.
            var source = unknown.Select(pair => sourceOf(pair.Key)).FirstOrDefault(static source => source is not null);
            var advice = NearestName.Of(ConfigurationPath.GetSectionKey(unknown.Key)!, asked.NamesBeside(unknown.Key)) is { } nearest
                ? $"Did you mean {nearest}?"
                : "See docs/configuration.md for all keys.";
            yield return $"{unknown.Key}: There is no such key{Quoted(source)}. {advice}";
        }

        foreach (var (key, value, unknown) in all)
        {
            if (unknown is null && !string.IsNullOrEmpty(value) && !asked.IsRead(key))
            {
                yield return $"{key}: This is a list or a group of keys, not one value{Quoted(sourceOf(key))}. The first of a list is {key}:0.";
            }
        }
    }

    private static string Quoted(string? source) => source is null ? "" : $" ({source})";

    // The binder names the type between the last apostrophes.
    private static string KindOf(InvalidOperationException exception)
    {
        var parts = exception.Message.Split('\'');
        return parts.Length > 1 && Kinds.TryGetValue(parts[^2], out var kind) ? kind : "a value as in docs/configuration.md";
    }
}
