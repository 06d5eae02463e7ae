using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Sql;
using Shared.Pooling.Postgres.Statements;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>A request that was sent to the server, or stands in its place, and was not answered yet.</summary>
internal struct PendingRequest
{
    public RequestKind Kind;

    /// <summary>Ours, not the client's: its answers are not passed on.</summary>
    public bool Injected;

    /// <summary>Ours, to see whether anything is left in the session.</summary>
    public bool IsProbe;

    /// <summary>The statement it is about.</summary>
    public PreparedStatement? Statement;

    /// <summary>The client's name for that statement; null when it has none.</summary>
    public string? ClientName;

    /// <summary>What succeeding does to the session; null when nothing.</summary>
    public SqlEffect[]? Effects;

    /// <summary>For a query of the client's: how many completions its text should bring; zero where that is not known.</summary>
    public int Statements;

    /// <summary>What the client is told instead of the server's error; null where the server speaks for itself.</summary>
    public PostgresError? Refusal;
}
