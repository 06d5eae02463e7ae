using Shared.Pooling.Postgres.Sql;
using Shared.Pooling.Postgres.Statements;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>What a conversation tells its client besides the messages themselves. Called under the server connection's lock.</summary>
internal interface IConversationClient
{
    /// <summary>The client's names for its statements.</summary>
    ClientStatements Statements { get; }

    /// <summary>A statement has succeeded.</summary>
    /// <param name="effect">One thing it did to the session.</param>
    /// <param name="rolledBack">True when what was to commit was rolled back instead, as the command tag says.</param>
    void Completed(in SqlEffect effect, bool rolledBack);

    /// <summary>A statement may have done something that no rollback undoes: it has failed, or its end was not seen.</summary>
    /// <param name="effect">One thing that it may have done.</param>
    void Uncertain(in SqlEffect effect);

    /// <summary>The server is ready for the next query.</summary>
    /// <param name="transactionStatus">I idle, T in a transaction, E in a failed one.</param>
    /// <param name="failed">True when something failed since it was ready before.</param>
    void Ready(byte transactionStatus, bool failed);

    /// <summary>What was asked on the client's behalf before its first request has succeeded.</summary>
    void Prepared();

    /// <summary>The server was asked whether anything is left in the session.</summary>
    /// <param name="clean">True when nothing is.</param>
    void Probed(bool clean);

    /// <summary>The server has reported a parameter that changed at the client's request.</summary>
    void Reported(string name, string value);
}
