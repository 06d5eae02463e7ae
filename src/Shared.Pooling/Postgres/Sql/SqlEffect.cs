namespace Shared.Pooling.Postgres.Sql;

/// <summary>One thing that a statement does to its session or transaction.</summary>
/// <param name="Kind">What.</param>
/// <param name="Statement">The number of the statement in its query string, from 0.</param>
/// <param name="Name">The setting, statement or savepoint, folded as PostgreSQL folds it.</param>
internal readonly record struct SqlEffect(SqlEffectKind Kind, int Statement, string? Name = null)
{
    /// <summary>For <see cref="SqlEffectKind.Set"/>: the statement that does it again on another connection.</summary>
    public string? Replay { get; init; }

    /// <summary>For <see cref="SqlEffectKind.CreateTemp"/>: it is gone when the transaction ends.</summary>
    public bool OnCommitDrop { get; init; }

    /// <summary>For <see cref="SqlEffectKind.Commit"/> and <see cref="SqlEffectKind.Rollback"/>: AND CHAIN.</summary>
    public bool Chain { get; init; }
}
