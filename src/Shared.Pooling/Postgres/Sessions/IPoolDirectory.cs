using Shared.Pooling.Postgres.Clients;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>Knows which pool a client belongs to. Safe for concurrent use.</summary>
internal interface IPoolDirectory
{
    /// <summary>The pool for what an authenticated client asks for; null when there is none.</summary>
    PostgresPool? Find(ClientStartup startup);
}
