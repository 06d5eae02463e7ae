namespace Shared.Pooling.Postgres.Sessions;

/// <summary>How long a client keeps a server connection.</summary>
public enum PoolMode
{
    /// <summary>For a transaction, or as long as it has left something in the session.</summary>
    Transaction,

    /// <summary>Until it leaves.</summary>
    Session,

    /// <summary>For one statement; transaction blocks are refused.</summary>
    Statement,
}
