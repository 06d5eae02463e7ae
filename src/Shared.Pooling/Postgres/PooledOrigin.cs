using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Sessions;

namespace Shared.Pooling.Postgres;

/// <summary>An origin and how connections to it are pooled.</summary>
/// <param name="Origin">Where, and as whom.</param>
/// <param name="Pool">How many, and for how long.</param>
public sealed record PooledOrigin(OriginOptions Origin, PostgresPoolOptions Pool);
