using Shared.Pooling.Postgres.Sql;

namespace Shared.Pooling.Postgres.Sessions;

// What the answers say of what was done to the session.
internal sealed partial class Conversation
{
    private void Complete(IConversationClient? client, bool rolledBack)
    {
        ref var asked = ref _pending.Oldest;
        if (client is null || asked.Effects is not { } effects)
        {
            return;
        }

        foreach (var effect in effects)
        {
            if (effect.Statement == _completed || asked.Kind == RequestKind.Execute)
            {
                client.Completed(effect, rolledBack);
            }
        }
    }

    // What a failed statement has done besides its transaction is still there: a lock, or anything where that is not known.
    private void DoubtWhatFailed(in PendingRequest asked, IConversationClient? client)
    {
        if (client is null || asked.Effects is not { } effects)
        {
            return;
        }

        foreach (var effect in effects)
        {
            if (effect.Statement >= _completed || asked.Kind == RequestKind.Execute)
            {
                client.Uncertain(effect);
            }
        }
    }

    // A function called by its number has no completion; and where the server counts other statements than we do, one of us has misread the text.
    private void DoubtWhatWasSeen(in PendingRequest request, IConversationClient? client)
    {
        var misread = request.Statements > 0 && (_failed ? _completed > request.Statements : _completed != request.Statements);
        if (request.Kind == RequestKind.FunctionCall || misread)
        {
            client?.Uncertain(new SqlEffect(SqlEffectKind.Opaque, Statement: 0));
        }
    }
}
