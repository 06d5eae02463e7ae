using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Sql;
using Shared.Pooling.Postgres.Statements;

namespace Shared.Pooling.Postgres.Sessions;

// What is answered here, while the client is linked to no server connection.
internal sealed partial class RequestTranslator
{
    /// <summary>Answers what concerns no server connection, while the client is linked to none.</summary>
    /// <returns>False when a server has to be asked.</returns>
    public bool TryAnswerHere(byte type, int length, ReadOnlySpan<byte> message)
    {
        switch (type)
        {
            case FrontendMessage.Sync:
                client.Output.Append(0, static (writer, _) => writer.Begin(BackendMessage.ReadyForQuery).Byte((byte)'I').End());
                return true;

            // PostgreSQL ignores what comes late from a copy that has failed.
            case FrontendMessage.Flush or FrontendMessage.CopyData or FrontendMessage.CopyDone or FrontendMessage.CopyFail:
                return true;
            case FrontendMessage.Close:
                CloseHere(message[MessageReader.HeaderSize..]);
                return true;
            case FrontendMessage.Query:
                return TryDiscardHere(message, length);
            case FrontendMessage.Parse:
                return TryParseHere(message, length);
            default:
                return false;
        }
    }

    // Another client's server has taken the same text under the same settings, so it needs no server to say yes.
    private bool TryParseHere(ReadOnlySpan<byte> message, int length)
    {
        if (message.Length < length)
        {
            return false;
        }

        var reader = new BodyReader(message[MessageReader.HeaderSize..]);
        var name = reader.CString();
        if (name.IsEmpty || client.Statements.Find(name) is not null || client.Statements.Refusal(name, reader.Rest.Length) is not null)
        {
            return false;
        }

        var statement = client.Pool.Statements.Intern(reader.Rest, client.Meaning, client.StandardConformingStrings);
        if (!statement.IsProven || client.Policy.Refusal(statement.Effects) is not null)
        {
            return false;
        }

        client.Statements.Set(ClientStatements.NameOf(name), statement);
        client.Output.Append(0, static (writer, _) => writer.Begin(BackendMessage.ParseComplete).End());
        return true;
    }

    private void CloseHere(ReadOnlySpan<byte> body)
    {
        if (Target(body, out var name) == 'S')
        {
            if (name.IsEmpty)
            {
                client.Statements.Unnamed = null;
            }
            else
            {
                client.Statements.Remove(ClientStatements.NameOf(name));
            }
        }

        client.Output.Append(0, static (writer, _) => writer.Begin(BackendMessage.CloseComplete).End());
    }

    // Nothing of an unlinked client is on any server, so there is nothing to discard but what is kept here.
    private bool TryDiscardHere(ReadOnlySpan<byte> message, int length)
    {
        if (length > 64 || message.Length < length)
        {
            return false;
        }

        var seen = _seen ??= new SqlEffects();
        SqlScanner.Scan(new BodyReader(message[MessageReader.HeaderSize..]).CString(), client.StandardConformingStrings, seen);
        if (seen is not { Count: 1, Statements: 1 } || seen[0] is not { Kind: SqlEffectKind.DiscardAll or SqlEffectKind.DeallocateAll } effect)
        {
            return false;
        }

        var tag = effect.Kind == SqlEffectKind.DiscardAll ? "DISCARD ALL" : "DEALLOCATE ALL";
        if (effect.Kind == SqlEffectKind.DiscardAll)
        {
            client.Discard();
        }
        else
        {
            client.Statements.Clear();
        }

        client.Output.Append(tag, static (writer, said) =>
        {
            writer.Begin(BackendMessage.CommandComplete).CString(said).End();
            writer.Begin(BackendMessage.ReadyForQuery).Byte((byte)'I').End();
        });
        return true;
    }
}
