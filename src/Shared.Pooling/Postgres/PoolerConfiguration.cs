using System.Collections.Immutable;
using Shared.Pooling.Postgres.Clients;

namespace Shared.Pooling.Postgres;

/// <summary>All that a pooler can be told anew while it runs. Immutable.</summary>
public sealed record PoolerConfiguration
{
    /// <summary>Who may connect, and to which pool.</summary>
    public required IClientDirectory Directory { get; init; }

    /// <summary>The pools by name.</summary>
    public required IReadOnlyDictionary<string, PoolDefinition> Pools { get; init; }

    /// <summary>Who may use the console: the database "pooler".</summary>
    public IReadOnlySet<string> Administrators { get; init; } = ImmutableHashSet<string>.Empty;

    /// <summary>How clients may connect.</summary>
    public HandshakeOptions Handshake { get; init; } = new();

    /// <summary>How many clients all pools may have together; further ones are refused.</summary>
    public int MaxClients { get; init; } = 10_000;

    /// <summary>How many connections all pools may have together; 0 without a limit.</summary>
    public int MaxConnections { get; init; }
}
