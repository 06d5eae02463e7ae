using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Statements;

namespace Shared.Pooling.Postgres.Sessions;

// What a server connection has to be told before it knows a statement.
internal sealed partial class RequestTranslator
{
    private static void Prepare(ServerSession server, PreparedStatement statement, string? clientName = null)
    {
        if (server.Statements.Use(statement))
        {
            return;
        }

        if (server.Statements.TakeOutdated(statement))
        {
            CloseOnServer(server, statement);
        }

        while (server.Statements.MakeRoom(statement) is { } evicted)
        {
            CloseOnServer(server, evicted);
        }

        server.Statements.Add(statement);
        server.Conversation.Ask(new PendingRequest
        {
            Kind = RequestKind.Parse,
            Injected = clientName is null,
            Statement = statement,
            ClientName = clientName,
        });
        statement.WriteParse(server.Requests);
    }

    private static void CloseOnServer(ServerSession server, PreparedStatement statement)
    {
        server.Conversation.Ask(new PendingRequest { Kind = RequestKind.Close, Injected = true, Statement = statement });
        server.Requests.Begin(FrontendMessage.Close).Byte((byte)'S').CString(statement.ServerName).End();
    }

    // Another client's unnamed statement must not answer for one that this client does not have.
    private static void PrepareUnnamed(ServerSession server, PreparedStatement? statement)
    {
        if (server.Statements.Unnamed == statement)
        {
            return;
        }

        server.Statements.Unnamed = statement;
        if (statement is null)
        {
            server.Conversation.Ask(new PendingRequest { Kind = RequestKind.Close, Injected = true });
            server.Requests.Begin(FrontendMessage.Close).Byte((byte)'S').CString(default(ReadOnlySpan<byte>)).End();
        }
        else
        {
            server.Conversation.Ask(new PendingRequest { Kind = RequestKind.Parse, Injected = true, Statement = statement, ClientName = "" });
            statement.WriteParse(server.Requests);
        }
    }
}
