using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Shared.Hosting.Configuration;
using Shared.Management;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Clients;
using Shared.Streams.Sockets;

namespace TunnelPooler.Pooling;

/// <summary>The checked configuration. Immutable.</summary>
internal sealed record PoolerSettings
{
    public required IReadOnlyList<ListenAddress> Listen { get; init; }

    public required ListenAddress? Management { get; init; }

    public required PoolerConfiguration Pooling { get; init; }

    /// <summary>The origins that can be tried without a client: those that the pooler itself can log in to.</summary>
    public required IReadOnlyDictionary<string, PoolDefinition> Checkable { get; init; }

    public required PoolerDirectory Directory { get; init; }

    public required bool TrustUnixSockets { get; init; }

    public required bool RequireReachable { get; init; }

    public required TimeSpan Grace { get; init; }

    /// <summary>Checks the options.</summary>
    /// <exception cref="ConfigurationException">Names the first key that is wrong.</exception>
    public static PoolerSettings From(PoolerOptions options, TimeProvider time, ILogger logger)
    {
        var handshake = new HandshakeOptions
        {
            Tls = PoolerTls.From(options.Tls),
            RequireTls = options.Tls.Required,
            LoginTimeout = SettingChecks.Seconds("LoginTimeoutSeconds", options.LoginTimeoutSeconds, 1, 300),
        };
        var listen = options.Listen.Select((text, index) => ListenOn($"Listen:{index}", text, options, handshake)).ToArray();
        var pools = options.Pools.Count > 0
            ? options.Pools.ToDictionary(static pool => pool.Key, pool => PoolerPools.From(pool.Key, pool.Value, time, logger), StringComparer.Ordinal)
            : throw new ConfigurationException("Pools", "There is no pool. Write one in the configuration file; docs/pooling.md begins with one.");
        var queries = new Dictionary<string, (PoolDefinition Definition, string Query)>(StringComparer.Ordinal);
        foreach (var (name, pool) in pools)
        {
            if (PoolerPools.AuthQueryFrom(name, options.Pools[name], pool) is { } query)
            {
                queries.Add(name, query);
            }
        }

        var directory = new PoolerDirectory(options, queries, time);
        return new PoolerSettings
        {
            Listen = listen.Length > 0
                ? listen
                : throw new ConfigurationException("Listen", "Give at least one address, e.g. --listen 127.0.0.1:6432."),
            Management = ManagementAddress.From(options.Management, options.ManagementAllowRemote),
            Pooling = new PoolerConfiguration
            {
                Directory = directory,
                Pools = pools,
                Administrators = options.Admins.ToImmutableHashSet(StringComparer.Ordinal),
                Handshake = handshake,
                MaxClients = SettingChecks.Within("MaxClients", options.MaxClients, 1, 1_000_000),
                MaxConnections = SettingChecks.Within("MaxConnections", options.MaxConnections, 0, 100_000),
            },
            Checkable = CheckableOf(pools, queries),
            Directory = directory,
            RequireReachable = options.RequireReachable,
            TrustUnixSockets = options.TrustUnixSockets,
            Grace = SettingChecks.Seconds("GraceSeconds", options.GraceSeconds, 0, 86_400),
        };
    }

    private static Dictionary<string, PoolDefinition> CheckableOf(
        Dictionary<string, PoolDefinition> pools, Dictionary<string, (PoolDefinition Definition, string Query)> queries)
    {
        var checkable = new Dictionary<string, PoolDefinition>(StringComparer.Ordinal);
        foreach (var (name, pool) in pools)
        {
            if (queries.TryGetValue(name, out var query))
            {
                checkable.Add($"{name} (AuthQuery)", query.Definition);
            }

            if (!pool.PerUser && !pool.AnyDatabase)
            {
                checkable.Add(name, pool);
            }
        }

        return checkable;
    }

    private static ListenAddress ListenOn(string key, string text, PoolerOptions options, HandshakeOptions handshake)
    {
        var address = SettingChecks.Address(key, text);
        return address.IsLoopbackOnly || handshake.RequireTls || options.AllowPlaintext
            ? address
            : throw new ConfigurationException(
                key, $"'{address}' can be reached from outside without TLS. Set Tls:Certificate, Tls:Key and Tls:Required, or AllowPlaintext.");
    }
}
