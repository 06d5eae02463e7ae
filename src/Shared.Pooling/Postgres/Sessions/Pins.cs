namespace Shared.Pooling.Postgres.Sessions;

/// <summary>What a client has left in a session that no other connection can give it: it keeps the connection until that is gone.</summary>
[Flags]
public enum Pins
{
    None = 0,

    /// <summary>LISTEN.</summary>
    Listen = 1,

    /// <summary>A temporary table, view or sequence.</summary>
    Temporary = 2,

    /// <summary>A session-level advisory lock.</summary>
    AdvisoryLock = 4,

    /// <summary>A cursor WITH HOLD.</summary>
    HoldCursor = 8,

    /// <summary>A statement prepared with SQL's PREPARE.</summary>
    SqlPrepare = 16,

    /// <summary>LOAD of a library.</summary>
    Load = 32,

    /// <summary>A statement that was too large to be looked into.</summary>
    Unseen = 64,
}
