using System.Text.Json;
using System.Text.Json.Serialization;

namespace Shared.Streams.Access;

/// <summary>
/// A token in a JSON file, <c>{"clientId": "…", "clientSecret": "…"}</c>, as <c>tunnel-ingress token create --output</c> writes it.
/// Read again whenever the file has changed, so that a rotated secret needs no restart.
/// </summary>
/// <param name="path">The file.</param>
public sealed class ServiceTokenFile(string path) : IServiceTokenSource
{
    private const int MaxLength = 16 * 1024;

    private volatile Cached? _cached;

    /// <inheritdoc/>
    public async ValueTask<ServiceToken> GetAsync(CancellationToken cancellationToken)
    {
        var file = new FileInfo(path);
        if (!file.Exists)
        {
            throw new IOException($"The token file {path} does not exist. Create it with 'tunnel-ingress token create … --output {path}'.");
        }

        var stamp = (file.LastWriteTimeUtc, file.Length, file.LinkTarget);
        if (_cached is { } cached && cached.Stamp == stamp)
        {
            return cached.Token;
        }

        var token = await ReadAsync(cancellationToken);
        _cached = new Cached(stamp, token);
        return token;
    }

    private async Task<ServiceToken> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var file = File.OpenRead(path);
            if (file.Length > MaxLength)
            {
                throw new IOException($"The token file {path} is over {MaxLength} bytes and no token file.");
            }

            var token = await JsonSerializer.DeserializeAsync(file, ServiceTokenJson.Default.ServiceToken, cancellationToken);
            return token is { ClientId.Length: > 0, ClientSecret.Length: > 0 } ? token : throw Malformed(null);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new IOException($"The token file {path} may not be read by this user.", exception);
        }
        catch (JsonException exception)
        {
            throw Malformed(exception);
        }
    }

    // The parser's message is left out: it can quote what it read.
    private IOException Malformed(JsonException? exception) => new(
        $"The token file {path} does not hold {{\"clientId\": \"…\", \"clientSecret\": \"…\"}}"
        + (exception?.LineNumber is { } line ? $" (line {line + 1})." : "."));

    private sealed record Cached((DateTime, long, string?) Stamp, ServiceToken Token);
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(ServiceToken))]
internal sealed partial class ServiceTokenJson : JsonSerializerContext;
