using Shared.Hosting.Configuration;
using Shared.Pooling.Hosting;
using Shared.Pooling.Postgres;
using Shared.Streams.Dialing;
using TunnelIngress.State;

namespace TunnelIngress.Pools;

/// <summary>The options of a service's pool, as <c>tunnel-ingress pool set</c> writes them.</summary>
internal sealed class ServicePoolOptions : PooledDatabaseOptions
{
    /// <summary>Who signs the database's certificate, in PEM; the system's roots without it.</summary>
    public string? Ca { get; set; }

    /// <summary>Reads what is stored.</summary>
    /// <exception cref="ConfigurationException">A key is unknown, or a value has the wrong kind.</exception>
    public static ServicePoolOptions From(ServicePool pool)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(pool.Settings.Select(static setting => new KeyValuePair<string, string?>(setting.Key, setting.Value))).Build();
        return ConfigurationBinding.Bind(configuration, static configuration => configuration.Get<ServicePoolOptions>(), static _ => null);
    }

    /// <summary>The pool that is stored.</summary>
    /// <param name="pool">As it is stored.</param>
    /// <param name="secret">What it proves to the database.</param>
    /// <param name="dialer">Reaches the service.</param>
    /// <exception cref="ConfigurationException">Names the first key that is wrong.</exception>
    public static PoolDefinition Define(ServicePool pool, OriginSecret secret, IDialer dialer)
    {
        var options = From(pool);
        if (string.IsNullOrEmpty(options.User))
        {
            throw new ConfigurationException("User", "Give the user that the pool logs in as: --user NAME.");
        }

        if (options.Tls == "verify-full" && string.IsNullOrEmpty(options.ServerName))
        {
            throw new ConfigurationException("ServerName", "Where the database is, only the connector knows; give the name in its certificate: --server-name NAME.");
        }

        return PoolDefinitions.From(prefix: "", options, new OriginAccess(dialer, pool.Service)
        {
            Host = pool.Service,
            Password = secret.Password,
            Roots = string.IsNullOrEmpty(options.Ca) ? null : PemCertificates.Roots("Ca", options.Ca),
            ClientCertificate = secret.Certificate is { } certificate ? PemCertificates.WithKey("ClientCertificate", certificate, keyPem: null) : null,
        });
    }
}
