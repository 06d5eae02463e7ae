using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Sql;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>What a pool refuses. Immutable; safe for concurrent use.</summary>
/// <param name="mode">The pool's mode.</param>
/// <param name="refused">What may not be left in a session.</param>
internal sealed class ClientPolicy(PoolMode mode, Pins refused)
{
    /// <summary>Why a client may not replicate; null when it may. Nobody looks into what it asks then.</summary>
    /// <param name="pool">The pool's name.</param>
    public PostgresError? RefusalOfReplication(string pool) => (mode, refused) switch
    {
        (not PoolMode.Session, _) => PostgresError.Fatal(
            SqlState.FeatureNotSupported, $"pool \"{pool}\" is in {mode.ToString().ToLowerInvariant()} mode; replication needs one in session mode"),
        (_, not Pins.None) => PostgresError.Fatal(
            SqlState.FeatureNotSupported, $"pool \"{pool}\" refuses statements ({refused}), which cannot be told on a connection for replication; use a pool without a Refuse list"),
        _ => null,
    };

    /// <summary>Why a client may not do what is not kept account of; null when it may, and keeps its connection then.</summary>
    /// <param name="what">What is the matter.</param>
    /// <param name="hint">What to do about it.</param>
    public PostgresError? RefusalOfUnseen(string what, string hint) => refused == Pins.None && mode != PoolMode.Statement ? null
        : PostgresError.Error(SqlState.ProgramLimitExceeded, $"{what}, and this pool refuses some statements") with { Hint = hint };

    /// <summary>Why the statements are refused; null when they are not.</summary>
    public PostgresError? Refusal(SqlEffect[]? effects)
    {
        if (effects is null || (refused == Pins.None && mode != PoolMode.Statement))
        {
            return null;
        }

        foreach (var effect in effects)
        {
            if (effect.Kind == SqlEffectKind.Unseen)
            {
                return RefusalOfUnseen("the statements do too much to be looked into", "Send fewer of them at once.");
            }

            if (mode == PoolMode.Statement && effect.Kind == SqlEffectKind.Begin)
            {
                return PostgresError.Error(SqlState.FeatureNotSupported, "transaction blocks are not allowed in statement pooling mode");
            }

            if (Refusal(SessionEffects.PinOf(effect)) is { } refusal)
            {
                return refusal;
            }
        }

        return null;
    }

    /// <summary>Why a client may not leave this in its session; null when it may.</summary>
    public PostgresError? Refusal(Pins pins) => (pins & refused) is not Pins.None and var pin
        ? PostgresError.Error(SqlState.FeatureNotSupported, $"this pool refuses what would keep a connection to the database: {pin}") with
        {
            Hint = "Use a pool in session mode for it, or take it off the pool's Refuse list.",
        }
        : null;
}
