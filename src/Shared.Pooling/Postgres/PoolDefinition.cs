using Shared.Pooling.Postgres.Authentication;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Sessions;

namespace Shared.Pooling.Postgres;

/// <summary>An origin and how connections to it are pooled: one pool, or one for each database or user that clients ask for. Immutable.</summary>
/// <param name="Origin">Where, and as whom.</param>
/// <param name="Options">How many, and for how long.</param>
public sealed record PoolDefinition(OriginOptions Origin, PostgresPoolOptions Options)
{
    /// <summary>Another text when anything about it has changed: its connections are replaced then.</summary>
    public string Version { get; init; } = "";

    /// <summary>True when clients choose the database, instead of <see cref="OriginOptions.Database"/>.</summary>
    public bool AnyDatabase { get; init; }

    /// <summary>True when clients log in to the origin as themselves, instead of as <see cref="OriginOptions.User"/>.</summary>
    public bool PerUser { get; init; }

    /// <summary>True when there is one pool only, which can be opened before anybody asks for it.</summary>
    internal bool IsSingle => !AnyDatabase && !PerUser;

    internal PoolKey KeyFor(string name, string database, string user) => new(
        name, AnyDatabase ? database : Origin.Database, PerUser ? user : Origin.User);

    internal OriginOptions OriginFor(PoolKey key, LoginProof proof) => Origin with
    {
        Database = key.Database,
        User = key.User,
        Proof = PerUser ? proof : LoginProof.None,
    };
}

/// <summary>What makes a pool: connections of one cannot serve another.</summary>
/// <param name="Name">The definition's name.</param>
/// <param name="Database">The database at the origin.</param>
/// <param name="User">The user at the origin.</param>
internal readonly record struct PoolKey(string Name, string Database, string User);
