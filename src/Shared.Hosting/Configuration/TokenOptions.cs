using Microsoft.Extensions.Logging;
using Shared.Streams.Access;

namespace Shared.Hosting.Configuration;

/// <summary>Where a program's service token is: a file, or the two values from file configuration or environment.</summary>
public sealed class TokenOptions
{
    /// <summary>The variables that hold a token without any prefix, for both programs that need one.</summary>
    public const string ClientIdVariable = "TUNNEL_CLIENT_ID";

    /// <inheritdoc cref="ClientIdVariable"/>
    public const string ClientSecretVariable = "TUNNEL_CLIENT_SECRET";

    /// <summary>A token file as <c>tunnel-ingress token create --output</c> writes it.</summary>
    public string? File { get; set; }

    /// <summary>The public half.</summary>
    public string? ClientId { get; set; }

    /// <summary>The secret half.</summary>
    public string? ClientSecret { get; set; }

    /// <summary>The token these options name; a file is read now, and again when it has changed.</summary>
    /// <param name="key">The key of these options.</param>
    /// <param name="logger">Is told when the file cannot be read again.</param>
    /// <exception cref="ConfigurationException">None is named, or half of one, or the file holds none.</exception>
    public IServiceTokenSource CreateSource(string key, ILogger logger)
    {
        if (!string.IsNullOrEmpty(File))
        {
            return OpenFile($"{key}:File", File, logger);
        }

        var id = ClientId ?? Environment.GetEnvironmentVariable(ClientIdVariable);
        var secret = ClientSecret ?? Environment.GetEnvironmentVariable(ClientSecretVariable);
        if (string.IsNullOrEmpty(id) || string.IsNullOrEmpty(secret))
        {
            throw new ConfigurationException(
                key, $"There is no service token. Name its file in {key}:File, or set {ClientIdVariable} and {ClientSecretVariable}.");
        }

        return new FixedServiceToken(new ServiceToken(id, secret));
    }

    private static ServiceTokenFile OpenFile(string key, string path, ILogger logger)
    {
        try
        {
            return ServiceTokenFile.Open(path, logger.TokenKept);
        }
        catch (IOException exception)
        {
            throw new ConfigurationException(key, exception.Message, exception);
        }
    }
}
