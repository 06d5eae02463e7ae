using System.Text.Json;
using System.Text.Json.Serialization;

namespace Shared.Streams.Access;

/// <summary>
/// A token in a JSON file, <c>{"clientId": "…", "clientSecret": "…"}</c>, as <c>tunnel-ingress token create --output</c> writes it.
/// Read again whenever the file has changed, so that a rotated secret needs no restart. A file that cannot be read then, because it is half
/// written or gone, is tried again for a moment; then it changes nothing: the token read last stays in use, and whether it is still good is the ingress's to say.
/// </summary>
public sealed class ServiceTokenFile : IServiceTokenSource
{
    private const int MaxLength = 16 * 1024;

    /// <summary>Whoever writes the file in place is done by then.</summary>
    private const int MaxAttempts = 4;

    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(100);

    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly Action<string> _onKept;
    private volatile Content _last;
    private volatile string? _problem;

    private ServiceTokenFile(string path, Action<string> onKept, TimeProvider time)
    {
        (_path, _onKept, _time, _last) = (path, onKept, time, Read(path));
    }

    /// <summary>Reads the file for the first time.</summary>
    /// <param name="path">The file.</param>
    /// <param name="onKept">Is told why the file could not be read again and the last token stays in use; once for each reason, from any thread.</param>
    /// <param name="time">The clock of the waits between attempts to read it again; the system's without one.</param>
    /// <exception cref="IOException">The file holds no token; the message says what to do and holds no secret.</exception>
    public static ServiceTokenFile Open(string path, Action<string> onKept, TimeProvider? time = null) => new(path, onKept, time ?? TimeProvider.System);

    /// <inheritdoc/>
    public async ValueTask<ServiceToken> GetAsync(CancellationToken cancellationToken)
    {
        var last = _last;
        if (StampOf(_path) == last.Stamp)
        {
            _problem = null;
            return last.Token;
        }

        for (var attempt = 1; ; attempt++)
        {
            try
            {
                // Whoever asks may be on a thread that waits for sockets, where nothing may block.
                _last = last = await Task.Run(() => Read(_path), cancellationToken);
                _problem = null;
                return last.Token;
            }
            catch (IOException exception)
            {
                // What was told already is no moment's trouble, and nobody waits for it again.
                if (_problem is not null || attempt == MaxAttempts)
                {
                    if (Interlocked.Exchange(ref _problem, exception.Message) != exception.Message)
                    {
                        _onKept(exception.Message);
                    }

                    return last.Token;
                }
            }

            await Task.Delay(RetryDelay, _time, cancellationToken);
        }
    }

    // Before the content, so that what is written meanwhile is read the next time.
    private static (DateTime, long, string?) StampOf(string path)
    {
        var file = new FileInfo(path);
        return file.Exists ? (file.LastWriteTimeUtc, file.Length, file.LinkTarget) : default;
    }

    private static Content Read(string path)
    {
        var stamp = StampOf(path);
        try
        {
            using var file = File.OpenRead(path);
            if (file.Length > MaxLength)
            {
                throw new IOException($"The token file {path} is over {MaxLength} bytes and no token file.");
            }

            var token = JsonSerializer.Deserialize(file, ServiceTokenJson.Default.ServiceToken);
            return token is { ClientId.Length: > 0, ClientSecret.Length: > 0 } ? new Content(stamp, token) : throw Malformed(path, null);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new IOException($"The token file {path} does not exist. Create it with 'tunnel-ingress token create … --output {path}'.", exception);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new IOException($"The token file {path} may not be read by this user. Make him its owner.", exception);
        }
        catch (JsonException exception)
        {
            throw Malformed(path, exception);
        }
    }

    // The parser's message is left out: it can quote what it read.
    private static IOException Malformed(string path, JsonException? exception) => new(
        $"The token file {path} does not hold {{\"clientId\": \"…\", \"clientSecret\": \"…\"}}"
        + (exception?.LineNumber is { } line ? $" (line {line + 1})." : ".")
        + " Create one with 'tunnel-ingress token create … --output FILE'.");

    private sealed record Content((DateTime, long, string?) Stamp, ServiceToken Token);
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(ServiceToken))]
internal sealed partial class ServiceTokenJson : JsonSerializerContext;
