using System.Text.Json;
using Microsoft.Extensions.Configuration;

namespace Shared.Hosting.Configuration;

/// <summary>
/// The layers of a program's configuration, later ones over earlier ones: a JSON file, the environment, the command line's flags.
/// A flag that takes a list replaces the whole list below it.
/// </summary>
/// <param name="environmentPrefix">For example <c>TUNNEL_CONNECTOR__</c>. The two underscores keep out what Kubernetes sets for a service of that name.</param>
/// <param name="file">The JSON file, or null for none.</param>
/// <param name="flags">Keys and values of the flags that were given.</param>
public sealed class ConfigurationLayers(string environmentPrefix, string? file, IReadOnlyList<KeyValuePair<string, string?>> flags)
{
    /// <summary>Reads all layers anew and binds them.</summary>
    /// <param name="bind">The program's own binding call, so that the compiler generates it.</param>
    /// <exception cref="ConfigurationException">A file cannot be read, a key is unknown or a value has the wrong kind.</exception>
    public T Load<T>(Func<IConfiguration, Action<BinderOptions>, T?> bind)
        where T : new()
    {
        var root = Build();
        try
        {
            return bind(root, static options => options.ErrorOnUnknownConfiguration = true) ?? new T();
        }
        catch (InvalidOperationException exception)
        {
            throw Explain(exception);
        }
    }

    private IConfigurationRoot Build()
    {
        var lower = new ConfigurationBuilder();
        if (file is not null)
        {
            lower.Add(JsonFile(file));
        }

        lower.AddEnvironmentVariables(environmentPrefix);
        var lists = flags.Select(static flag => ListOf(flag.Key)).OfType<string>().ToArray();
        var kept = lower.Build().AsEnumerable().Where(pair => !Array.Exists(lists, list => pair.Key.StartsWith($"{list}:", StringComparison.OrdinalIgnoreCase)));
        return new ConfigurationBuilder().AddInMemoryCollection(kept).AddInMemoryCollection(flags).Build();
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

    // The binder quotes the keys it does not know between apostrophes behind the first colon.
    private static ConfigurationException Explain(InvalidOperationException exception)
    {
        var message = exception.Message;
        var colon = message.IndexOf(": '", StringComparison.Ordinal);
        return message.StartsWith("'ErrorOnUnknownConfiguration'", StringComparison.Ordinal) && colon > 0
            ? new ConfigurationException(message[(colon + 2)..].Replace("'", "", StringComparison.Ordinal).TrimEnd('.'), "There is no such key. See docs/configuration.md for all keys.", exception)
            : new ConfigurationException("", message, exception);
    }
}
