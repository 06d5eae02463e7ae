using Shared.Pooling.Postgres.Sql;

namespace Shared.Pooling.Postgres.Sessions;

// What the client's statements do to its session.
internal sealed partial class ClientSession
{
    private Pins _unpinOnCommit;
    private long _uncertain;
    private string? _uncertainMeaning;

    /// <summary>Notes what is asked, before it is known whether it succeeds.</summary>
    public void EffectsAsked(SqlEffect[]? effects)
    {
        if (effects is null)
        {
            return;
        }

        foreach (var effect in effects)
        {
            if (effect.Kind is SqlEffectKind.Set or SqlEffectKind.SetLocal or SqlEffectKind.Reset or SqlEffectKind.ResetAll or SqlEffectKind.Rollback
                or SqlEffectKind.RollbackTo or SqlEffectKind.DiscardAll or SqlEffectKind.Opaque or SqlEffectKind.Unseen)
            {
                _uncertainMeaning = $"{Identity.Id}:{++_uncertain}";
                return;
            }
        }
    }

    /// <inheritdoc/>
    public void Completed(in SqlEffect effect, bool rolledBack)
    {
        var server = _server!;
        var pin = SessionEffects.PinOf(effect);
        server.Pins |= pin;
        _unpinOnCommit = (_unpinOnCommit & ~pin) | SessionEffects.UnpinOf(effect);
        SessionEffects.Apply(effect, this, server);
        if (effect is { Kind: SqlEffectKind.Set, Replay: { } replay } && !SettingText.WasUtf8(replay, server.Reported))
        {
            _parameters.GoBeyond();
            KeepUnseen(server, "a setting has characters beyond ASCII in an encoding other than UTF8", "Let the client use client_encoding UTF8.");
            return;
        }

        _parameters.Apply(effect, rolledBack);
        if (_parameters.IsBeyond)
        {
            KeepUnseen(server, "there are too many, or too long, settings or savepoints", "Set less, reset what is not needed, and release savepoints.");
        }
    }

    // It goes on where its settings are, as nobody could make them anew elsewhere.
    private void KeepUnseen(ServerSession server, string what, string hint)
    {
        server.Pins |= Pins.Unseen;
        if (Policy.RefusalOfUnseen(what, hint) is { } refusal)
        {
            End(refusal with { Severity = "FATAL" });
        }
    }

    /// <inheritdoc/>
    public void Uncertain(in SqlEffect effect)
    {
        var server = _server!;
        var pin = SessionEffects.PinOf(effect) & ~ServerSession.NotProbed;
        server.Pins |= pin;
        server.PinsMayBeGone |= pin != Pins.None;
        server.NeedsReset |= effect.Kind is SqlEffectKind.Opaque or SqlEffectKind.Unseen;
    }

    /// <inheritdoc/>
    public void Ready(byte transactionStatus, bool failed)
    {
        if (transactionStatus == 'I')
        {
            _parameters.TransactionEnded(committed: !failed);
            var server = _server!;
            server.Pins &= failed ? server.Pins : ~_unpinOnCommit;
            server.Pins |= _parameters.OnServer.Pin;
            _unpinOnCommit = Pins.None;
            if (server.Conversation.PendingCount == 0)
            {
                // What is set beyond is in no snapshot; each SET then makes another meaning.
                _uncertainMeaning = _parameters.IsBeyond ? _uncertainMeaning : null;
                _forwarder.PortalsGone();
            }
        }

        Activity.Answered(transactionStatus);
    }
}
