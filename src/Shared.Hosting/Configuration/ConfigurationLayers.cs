using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.EnvironmentVariables;

namespace Shared.Hosting.Configuration;

/// <summary>
/// The layers of a program's configuration, later ones over earlier ones: a JSON file, the environment, the command line's flags.
/// A flag that takes a list replaces the whole list below it.
/// </summary>
/// <param name="environmentPrefix">For example <c>TUNNEL_CONNECTOR__</c>. The two underscores keep out what Kubernetes sets for a service of that name.</param>
/// <param name="file">The JSON file, or null for none.</param>
/// <param name="flags">The flags that were given.</param>
public sealed class ConfigurationLayers(string environmentPrefix, string? file, IReadOnlyList<Flag> flags)
{
    private Dictionary<string, string?>? _atStart;
    private string[] _changed = [];

    /// <summary>Reads all layers anew and binds them.</summary>
    /// <param name="bind">The program's own binding call, so that the compiler generates it.</param>
    /// <exception cref="ConfigurationException">A file cannot be read, a key is unknown or a value has the wrong kind.</exception>
    public T Load<T>(Func<IConfiguration, T?> bind)
        where T : new()
    {
        var lower = Lower();
        var root = WithFlags(lower);
        var loaded = ConfigurationBinding.Bind(root, bind, key => SourceOf(key, lower));
        var values = root.AsEnumerable().ToDictionary(StringComparer.OrdinalIgnoreCase);
        _atStart ??= values;
        _changed = [.. _atStart.Keys.Union(values.Keys, StringComparer.OrdinalIgnoreCase)
            .Where(key => _atStart.GetValueOrDefault(key) != values.GetValueOrDefault(key))
            .Select(static key => ListOf(key) ?? key)
            .Distinct(StringComparer.OrdinalIgnoreCase)];
        return loaded;
    }

    /// <summary>Reads one value, for a command that needs no other; whether the rest is right is not looked at.</summary>
    /// <exception cref="ConfigurationException">A file cannot be read.</exception>
    public string? Read(string key) => WithFlags(Lower())[key];

    /// <summary>The keys that the last load found to be other than the first one did, without those within the given ones. A list counts as one.</summary>
    public IEnumerable<string> ChangedBeside(params string[] keys) => _changed.Except(ChangedWithin(keys));

    /// <summary>The same, only those within the given ones.</summary>
    public IEnumerable<string> ChangedWithin(params string[] keys) =>
        _changed.Where(changed => Array.Exists(keys, key => $"{changed}:".StartsWith($"{key}:", StringComparison.OrdinalIgnoreCase)));

    private IConfigurationRoot Lower()
    {
        var lower = new ConfigurationBuilder();
        if (file is not null)
        {
            lower.Add(JsonFile(file));
        }

        try
        {
            return lower.AddEnvironmentVariables(environmentPrefix).Build();
        }
        catch (FormatException exception)
        {
            throw new ConfigurationException("", $"The configuration file {file} cannot be used: {exception.Message}", exception);
        }
    }

    private IConfigurationRoot WithFlags(IConfigurationRoot lower)
    {
        var spellings = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        AddSpellings(spellings, lower.Providers.First(), lower.Providers.Last(), inFile: null, inVariables: null);
        var lists = flags.Select(static flag => ListOf(flag.Key)).OfType<string>().ToArray();
        var kept = lower.AsEnumerable().Where(pair => !Array.Exists(lists, list => pair.Key.StartsWith($"{list}:", StringComparison.OrdinalIgnoreCase)))
            .Select(pair => KeyValuePair.Create(SpelledAsInFile(pair.Key, spellings), pair.Value));
        var given = flags.Select(static flag => KeyValuePair.Create<string, string?>(flag.Key, flag.Value));
        return new ConfigurationBuilder().AddInMemoryCollection(kept).AddInMemoryCollection(given).Build();
    }

    // Variables are often in upper case. Where the file has the same name, of a pool or a user, its spelling is the one that is meant.
    private static void AddSpellings(
        Dictionary<string, string> spellings, IConfigurationProvider file, IConfigurationProvider variables, string? inFile, string? inVariables)
    {
        foreach (var name in variables.GetChildKeys([], inVariables).Distinct(StringComparer.Ordinal))
        {
            var spelled = file.GetChildKeys([], inFile).FirstOrDefault(known => known.Equals(name, StringComparison.OrdinalIgnoreCase)) ?? name;
            var (below, belowInFile) = (Below(inVariables, name), Below(inFile, spelled));
            spellings[below] = belowInFile;
            AddSpellings(spellings, file, variables, belowInFile, below);
        }

        static string Below(string? path, string name) => path is null ? name : $"{path}:{name}";
    }

    private static string SpelledAsInFile(string key, Dictionary<string, string> spellings)
    {
        for (var end = key.Length; end > 0; end = key.LastIndexOf(':', end - 1))
        {
            if (spellings.TryGetValue(key[..end], out var spelled))
            {
                return $"{spelled}{key[end..]}";
            }
        }

        return key;
    }

    private string? SourceOf(string key, IConfigurationRoot lower)
    {
        if (flags.FirstOrDefault(flag => flag.Key.Equals(key, StringComparison.OrdinalIgnoreCase)) is { } flag)
        {
            return $"option {flag.Option}";
        }

        return lower.Providers.LastOrDefault(provider => provider.TryGet(key, out _)) switch
        {
            null => null,
            EnvironmentVariablesConfigurationProvider => $"environment variable {environmentPrefix}{key.Replace(":", "__", StringComparison.Ordinal)}",
            _ => $"file {file}",
        };
    }

    // The key of the list that a flag adds to, e.g. Postgres:Listen of Postgres:Listen:0; null when it is no list's.
    private static string? ListOf(string key)
    {
        var segments = key.Split(':');
        var number = Array.FindIndex(segments, static segment => segment.All(char.IsAsciiDigit));
        return number > 0 ? string.Join(':', segments[..number]) : null;
    }

    private static Microsoft.Extensions.Configuration.Json.JsonStreamConfigurationSource JsonFile(string path)
    {
        try
        {
            return new() { Stream = new MemoryStream(Validated(path, File.ReadAllBytes(path))) };
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException("", $"The configuration file {path} cannot be read: {exception.Message}", exception);
        }
    }

    private static byte[] Validated(string path, byte[] json)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions
            {
                CommentHandling = JsonCommentHandling.Skip,
                AllowTrailingCommas = true,
            });
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? json
                : throw new ConfigurationException("", $"The configuration file {path} must hold one JSON object.");
        }
        catch (JsonException exception)
        {
            throw new ConfigurationException(
                "", $"The configuration file {path} is not valid JSON at line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}.", exception);
        }
    }
}
