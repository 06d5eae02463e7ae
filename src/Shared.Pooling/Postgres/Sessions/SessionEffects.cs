using System.Text;
using Shared.Pooling.Postgres.Sql;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>What a statement that has succeeded means for its client and its server connection.</summary>
internal static class SessionEffects
{
    /// <summary>What an effect leaves in the session that cannot follow the client.</summary>
    public static Pins PinOf(in SqlEffect effect) => effect.Kind switch
    {
        SqlEffectKind.Listen => Pins.Listen,
        SqlEffectKind.CreateTemp when !effect.OnCommitDrop => Pins.Temporary,
        SqlEffectKind.AdvisoryLock => Pins.AdvisoryLock,
        SqlEffectKind.DeclareHold => Pins.HoldCursor,
        SqlEffectKind.Prepare => Pins.SqlPrepare,
        SqlEffectKind.Load => Pins.Load,
        SqlEffectKind.Unseen => Pins.Unseen,
        _ => Pins.None,
    };

    /// <summary>How many connections each kind of pin keeps.</summary>
    public static Dictionary<Pins, int> CountPins(IEnumerable<ServerSession> servers)
    {
        var counts = new Dictionary<Pins, int>();
        foreach (var server in servers)
        {
            foreach (var pin in Enum.GetValues<Pins>())
            {
                if (pin != Pins.None && server.Pins.HasFlag(pin))
                {
                    counts[pin] = counts.GetValueOrDefault(pin) + 1;
                }
            }
        }

        return counts;
    }

    /// <summary>Keeps account of one effect. Under the server connection's gate.</summary>
    public static void Apply(in SqlEffect effect, ClientSession client, ServerSession server)
    {
        switch (effect.Kind)
        {
            case SqlEffectKind.Opaque:
                server.NeedsReset = true;
                break;
            case SqlEffectKind.DiscardAll:
                client.Statements.Clear();
                server.Statements.Clear();
                (server.Pins, server.NeedsReset) = (Pins.None, server.MayMisread);
                break;
            case SqlEffectKind.DeallocateAll:
                client.Statements.Clear();
                server.Statements.Clear();
                break;
            case SqlEffectKind.Deallocate when effect.Name is { } name && client.Statements.Find(Encoding.UTF8.GetBytes(name)) is { } statement:
                client.Statements.Remove(name);
                server.Statements.Remove(statement);
                break;
            case SqlEffectKind.MayUnpin or SqlEffectKind.Unlisten or SqlEffectKind.Deallocate or SqlEffectKind.ResetAll:
            case SqlEffectKind.Set or SqlEffectKind.Reset when effect.Name == SqlScanner.SearchPath:
                server.PinsMayBeGone = true;
                break;
            default:
                break;
        }
    }

    /// <summary>What an effect takes out of the session, once its transaction is committed.</summary>
    public static Pins UnpinOf(in SqlEffect effect) => effect.Kind switch
    {
        SqlEffectKind.UnlistenAll => Pins.Listen,
        SqlEffectKind.DiscardTemp => Pins.Temporary,
        SqlEffectKind.CloseAll => Pins.HoldCursor,
        SqlEffectKind.DeallocateAll => Pins.SqlPrepare,
        _ => Pins.None,
    };
}
