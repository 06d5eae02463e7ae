namespace Shared.Pooling.Postgres.Sql;

/// <summary>What a statement does to its session or transaction, as far as a pool has to know.</summary>
internal enum SqlEffectKind : byte
{
    /// <summary>SET name, SET TIME ZONE, SET ROLE … or set_config: a setting that outlives the transaction.</summary>
    Set,

    /// <summary>SET LOCAL, or set_config for the transaction only.</summary>
    SetLocal,

    /// <summary>RESET name, SET name TO DEFAULT.</summary>
    Reset,

    ResetAll,
    Begin,
    Commit,
    Rollback,
    Savepoint,
    RollbackTo,
    Release,

    /// <summary>SQL's PREPARE.</summary>
    Prepare,

    Deallocate,
    DeallocateAll,
    Listen,
    Unlisten,
    UnlistenAll,
    DiscardAll,
    DiscardTemp,

    /// <summary>DISCARD PLANS or SEQUENCES.</summary>
    DiscardOther,

    /// <summary>A temporary table, view or sequence, or a search_path that makes such.</summary>
    CreateTemp,

    /// <summary>DECLARE … WITH HOLD.</summary>
    DeclareHold,

    /// <summary>CLOSE ALL.</summary>
    CloseAll,

    /// <summary>A session-level advisory lock.</summary>
    AdvisoryLock,

    /// <summary>DROP, CLOSE or pg_advisory_unlock: what keeps a client on its connection may be gone with it.</summary>
    MayUnpin,

    Load,

    /// <summary>DO, CALL, a name with escapes, or settings with a computed name or value: it may have changed anything.</summary>
    Opaque,

    /// <summary>More than is kept account of.</summary>
    Unseen,
}
