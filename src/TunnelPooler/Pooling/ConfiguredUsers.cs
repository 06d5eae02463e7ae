using Shared.Hosting.Configuration;
using Shared.Pooling.Postgres.Authentication;
using Shared.Pooling.Postgres.Clients;

namespace TunnelPooler.Pooling;

/// <summary>The users of the configuration. Immutable; safe for concurrent use.</summary>
internal sealed class ConfiguredUsers : IClientCredentials
{
    private readonly Dictionary<string, ClientCredential> _users;

    /// <exception cref="ConfigurationException">A user has no password, or several.</exception>
    public ConfiguredUsers(IReadOnlyDictionary<string, PoolerUserOptions> users)
    {
        _users = users.ToDictionary(static user => user.Key, static user => CredentialOf($"Users:{user.Key}", user.Value), StringComparer.Ordinal);
    }

    /// <inheritdoc/>
    public ValueTask<ClientCredential?> FindAsync(string user, string database, CancellationToken cancellationToken) => new(_users.GetValueOrDefault(user));

    private static ClientCredential CredentialOf(string key, PoolerUserOptions options)
    {
        if (options.Verifier is not { } text)
        {
            return new ClientCredential(ScramVerifier.Create(
                PasswordSetting.Read(key, options.PasswordFile, options.Password) ?? throw new ConfigurationException(
                    key, "The user has no password. Give PasswordFile, Password (from the environment) or Verifier.")));
        }

        if (text.StartsWith("md5", StringComparison.Ordinal) && text.Length == "md5".Length + 32)
        {
            return new ClientCredential(null, text);
        }

        return ScramVerifier.TryParse(text, out var verifier)
            ? new ClientCredential(verifier)
            : throw new ConfigurationException($"{key}:Verifier", "That is no verifier. Copy it from pg_authid: SCRAM-SHA-256$… or md5….");
    }
}
