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

    /// <summary>The token these options name.</summary>
    /// <exception cref="ConfigurationException">None is named, or half of one.</exception>
    public IServiceTokenSource CreateSource()
    {
        if (!string.IsNullOrEmpty(File))
        {
            return System.IO.File.Exists(File)
                ? new ServiceTokenFile(File)
                : throw new ConfigurationException("Token:File", $"The token file {File} does not exist. Create it with 'tunnel-ingress token create … --output {File}'.");
        }

        var id = ClientId ?? Environment.GetEnvironmentVariable(ClientIdVariable);
        var secret = ClientSecret ?? Environment.GetEnvironmentVariable(ClientSecretVariable);
        if (string.IsNullOrEmpty(id) || string.IsNullOrEmpty(secret))
        {
            throw new ConfigurationException(
                "Token", $"There is no service token. Give --token-file FILE, or set {ClientIdVariable} and {ClientSecretVariable}.");
        }

        return new FixedServiceToken(new ServiceToken(id, secret));
    }
}
