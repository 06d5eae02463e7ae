using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Sql;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>Which statements a pool refuses. Immutable; safe for concurrent use.</summary>
/// <param name="mode">The pool's mode.</param>
/// <param name="refused">What may not be left in a session.</param>
internal sealed class ClientPolicy(PoolMode mode, Pins refused)
{
    /// <summary>Why the statements are refused; null when they are not.</summary>
    public PostgresError? Refusal(SqlEffect[]? effects)
    {
        if (effects is null || (refused == Pins.None && mode != PoolMode.Statement))
        {
            return null;
        }

        foreach (var effect in effects)
        {
            if (mode == PoolMode.Statement && effect.Kind == SqlEffectKind.Begin)
            {
                return PostgresError.Error(SqlState.FeatureNotSupported, "transaction blocks are not allowed in statement pooling mode");
            }

            if ((SessionEffects.PinOf(effect) & refused) is not Pins.None and var pin)
            {
                return PostgresError.Error(SqlState.FeatureNotSupported, $"this pool refuses what would keep a connection to the database: {pin}") with
                {
                    Hint = "Use a pool in session mode for it, or take it off the pool's Refuse list.",
                };
            }
        }

        return null;
    }
}
