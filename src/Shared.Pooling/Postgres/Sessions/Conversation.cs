using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Statements;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// What was asked on one server connection and what of it was answered: decides for each message of the server's whose answer it is,
/// and when the connection is provably between two transactions. No input or output of its own. Not safe for concurrent use.
/// </summary>
/// <remarks>
/// Source: PostgreSQL documentation, "Message Flow". An error in the extended protocol makes the server discard everything up to the
/// next Sync; a copy from the client makes it ignore Flush and Sync until the copy has ended.
/// </remarks>
/// <param name="statements">What the server connection has prepared.</param>
internal sealed partial class Conversation(ServerStatements statements)
{
    /// <summary>How many requests, and changes of the session, may be unanswered; a client that asks for more without reading is cut.</summary>
    public const int MostPending = 64 * 1024;

    private readonly PendingRequests _pending = new();
    private bool _unsynced;
    private bool _failed;
    private int _completed;
    private bool _probedClean;

    /// <summary>I idle, T in a transaction, E in a failed one, as the server said last.</summary>
    public byte TransactionStatus { get; private set; } = (byte)'I';

    /// <summary>True while the server takes CopyData.</summary>
    public bool CopyIn { get; private set; }

    /// <summary>True while the server discards what it gets until a Sync.</summary>
    public bool Skipping { get; private set; }

    /// <summary>True after a request of ours has failed: the settings are not those that the client asked for.</summary>
    public PostgresError? InjectedFailure { get; private set; }

    /// <summary>Why nobody can be sure of what the server will say next; null while all is sure.</summary>
    public string? Doubt { get; private set; }

    /// <summary>True while the server answers something of ours.</summary>
    public bool AnswersInjected => _pending.Count > 0 && _pending.Oldest.Injected;

    /// <summary>True while the server makes settings that a client wants: one query string, or two.</summary>
    private bool AnswersSettings => _pending.Count > 0 && _pending.Oldest is { Injected: true, IsProbe: false, Kind: RequestKind.Query };

    /// <summary>How many requests are unanswered.</summary>
    public int PendingCount => _pending.Count;

    /// <summary>How many times the server was ready again after something of a client's: another number, another query.</summary>
    public long ReadyCount { get; private set; }

    /// <summary>True when all is answered and the next request will be, too; the transaction may be open.</summary>
    public bool IsAnswered => _pending.Count == 0 && !_unsynced && !CopyIn && !Skipping;

    /// <summary>True between two transactions, with nothing unanswered.</summary>
    public bool IsIdle => IsAnswered && TransactionStatus == 'I';

    /// <summary>Notes a request that goes to the server, or that is answered here in its turn.</summary>
    public void Ask(in PendingRequest request)
    {
        switch (request.Kind)
        {
            case RequestKind.Sync when CopyIn && !CopyWasEnded():
                return;
            case RequestKind.Sync:
                Skipping = false;
                _unsynced = false;
                break;
            case RequestKind.Query or RequestKind.FunctionCall:
                _unsynced = false;
                break;
            case RequestKind.CopyEnd:
                break;
            default:
                _unsynced |= !request.Injected;
                break;
        }

        if (_pending.Weight >= MostPending)
        {
            throw new ProtocolViolationException($"more than {MostPending} requests were sent without reading an answer");
        }

        _pending.Add(request);
    }

    /// <summary>Takes a message of the server's.</summary>
    /// <param name="type">Its type.</param>
    /// <param name="body">Its body; may be incomplete for types that carry data.</param>
    /// <param name="client">Who is linked.</param>
    /// <param name="replacement">Where a message goes that stands in for it.</param>
    /// <exception cref="ProtocolViolationException">The server answered what was not asked.</exception>
    public Answer Receive(byte type, ReadOnlySpan<byte> body, IConversationClient? client, MessageWriter replacement)
    {
        switch (type)
        {
            case BackendMessage.NotificationResponse when _pending.Count > 0 && _pending.Oldest.IsProbe:
                // Whoever is asked whether it still listens may just have been told something.
                return Answer.Pass;
            case BackendMessage.NoticeResponse or BackendMessage.NotificationResponse:
                return AnswersInjected ? Answer.Drop : Answer.Pass;
            case BackendMessage.ErrorResponse:
                return OnError(body, client, replacement);
            case BackendMessage.ReadyForQuery:
                return OnReady(body, client);
            default:
                break;
        }

        if (_pending.Count == 0)
        {
            throw new ProtocolViolationException($"the server sent '{(char)type}' although nothing was asked");
        }

        var asked = _pending.Oldest.Kind;
        if (!ExpectedAnswers.Has(asked, type))
        {
            throw new ProtocolViolationException($"the server sent '{(char)type}' in answer to {asked}");
        }

        switch (type)
        {
            case BackendMessage.ParseComplete when asked == RequestKind.DuplicateParse:
                Doubt = "a statement was prepared under a name that stands for another";
                return Answered(asked);
            case BackendMessage.ParseComplete:
                if (_pending.Oldest.Statement is { } proven)
                {
                    proven.IsProven = true;
                }

                return Answered(RequestKind.Parse);
            case BackendMessage.BindComplete:
                return Answered(RequestKind.Bind);
            case BackendMessage.CloseComplete:
                return Answered(RequestKind.Close);
            case BackendMessage.RowDescription or BackendMessage.NoData when asked is RequestKind.DescribeStatement or RequestKind.DescribePortal:
                return Answered(asked);
            case BackendMessage.PortalSuspended:
                // Its rows were made by functions that have run, and nobody may ask for more.
                Complete(client, rolledBack: false);
                return Answered(RequestKind.Execute);
            case BackendMessage.CommandComplete or BackendMessage.EmptyQueryResponse:
                return OnComplete(type, body, client);
            case BackendMessage.CopyInResponse:
                OnCopyIn();
                break;
            default:
                break;
        }

        return AnswersInjected ? Answer.Drop : Answer.Pass;
    }

    /// <summary>Says what is ours to say now that everything before it is answered.</summary>
    /// <returns>True when something was written.</returns>
    public bool WriteLocalAnswers(MessageWriter writer)
    {
        var before = writer.Count;
        while (_pending.Count > 0 && !Skipping)
        {
            switch (_pending.Oldest.Kind)
            {
                case RequestKind.KnownParse:
                    writer.Begin(BackendMessage.ParseComplete).End();
                    break;
                case RequestKind.SharedClose:
                    writer.Begin(BackendMessage.CloseComplete).End();
                    break;
                case RequestKind.CopyEnd when !CopyIn:
                    break;
                default:
                    return writer.Count > before;
            }

            _pending.Take();
        }

        return writer.Count > before;
    }

    private Answer Answered(RequestKind kind)
    {
        if (_pending.Oldest.Kind != kind)
        {
            throw new ProtocolViolationException($"the server answered {kind} although {_pending.Oldest.Kind} was next");
        }

        return _pending.Take().Injected ? Answer.Drop : Answer.Pass;
    }

    private Answer OnComplete(byte type, ReadOnlySpan<byte> body, IConversationClient? client)
    {
        ref var asked = ref _pending.Oldest;
        CopyIn = false;
        if (asked.IsProbe)
        {
            _probedClean = body.StartsWith("SELECT 0"u8);
            return Answer.Drop;
        }

        // A command tag of ROLLBACK answers a COMMIT of a transaction that had failed.
        Complete(client, rolledBack: type == BackendMessage.CommandComplete && body.StartsWith("ROLLBACK"u8));
        _completed += asked.Kind == RequestKind.Query ? 1 : 0;
        return asked.Kind == RequestKind.Execute ? Answered(RequestKind.Execute) : asked.Injected ? Answer.Drop : Answer.Pass;
    }

    private Answer OnReady(ReadOnlySpan<byte> body, IConversationClient? client)
    {
        if (_pending.Count == 0 || _pending.Oldest.Kind is not (RequestKind.Sync or RequestKind.Query or RequestKind.FunctionCall) || body.Length != 1)
        {
            throw new ProtocolViolationException("the server is ready although nothing was asked");
        }

        var request = _pending.Take();
        TransactionStatus = body[0];
        CopyIn = false;
        DoubtWhatWasSeen(request, client);
        _completed = 0;
        if (!request.Injected)
        {
            client?.Ready(TransactionStatus, _failed);
            _failed = false;
            ReadyCount++;
        }
        else if (request.IsProbe)
        {
            client?.Probed(_probedClean);
            _probedClean = false;
        }
        else if (!AnswersSettings)
        {
            client?.Prepared();
        }

        return request.Injected ? Answer.Drop : Answer.Pass;
    }

    private Answer OnError(ReadOnlySpan<byte> body, IConversationClient? client, MessageWriter replacement)
    {
        if (_pending.Count == 0 || Skipping)
        {
            return Answer.Pass;
        }

        var asked = _pending.Oldest;
        if (asked.IsProbe)
        {
            return Answer.Drop;
        }

        if (asked is { Injected: true, Kind: RequestKind.Query })
        {
            InjectedFailure = PostgresError.Read(body);
            return Answer.Drop;
        }

        _failed = true;
        if (CopyIn && asked.Kind == RequestKind.Execute)
        {
            // Whether a Sync sent meanwhile was swallowed by the copy or will be answered cannot be told from here.
            Doubt = "a COPY failed in the extended protocol";
        }

        CopyIn = false;
        DoubtWhatFailed(asked, client);
        if (asked.Kind is not (RequestKind.Query or RequestKind.FunctionCall or RequestKind.Sync))
        {
            SkipToSync(client);
        }

        if (asked is { Kind: RequestKind.Bind, Statement: { } statement } && StatementErrors.IsOutdatedPlan(body))
        {
            statements.Outdate(statement);
        }

        if (asked.Refusal is { } refusal)
        {
            refusal.Write(replacement);
            return Answer.Replaced;
        }

        return StatementErrors.WriteWithClientsName(asked, body, replacement) ? Answer.Replaced : Answer.Pass;
    }

    // The server discards all up to the next Sync, so whatever was noted as done by those requests is undone, newest first.
    private void SkipToSync(IConversationClient? client)
    {
        var skipped = 0;
        while (skipped < _pending.Count && _pending[skipped].Kind != RequestKind.Sync)
        {
            skipped++;
        }

        Skipping = skipped == _pending.Count;
        for (var i = skipped - 1; i >= 0; i--)
        {
            Undo(_pending[i], client);
        }

        for (; skipped > 0; skipped--)
        {
            _pending.Take();
        }
    }

    private void Undo(in PendingRequest request, IConversationClient? client)
    {
        if (request.Statement is not { } statement)
        {
            return;
        }

        switch (request.Kind)
        {
            case RequestKind.Parse:
                Forget(statement, request, client);
                break;
            case RequestKind.KnownParse when request.ClientName is { } name:
                client?.Statements.Remove(name, statement);
                break;
            case RequestKind.Close when request.Injected && !statements.Use(statement):
                statements.Add(statement);
                break;
            case RequestKind.SharedClose when request.ClientName is { } name:
                client?.Statements.Set(name, statement);
                break;
            case RequestKind.Close when !request.Injected && client is not null:
                client.Statements.Unnamed = statement;
                statements.Unnamed = statement;
                break;
            default:
                break;
        }
    }

    private void Forget(PreparedStatement statement, in PendingRequest request, IConversationClient? client)
    {
        if (statement.ServerName.Length > 0)
        {
            statements.Remove(statement);
            if (!request.Injected && request.ClientName is { } name)
            {
                client?.Statements.Remove(name, statement);
            }
        }
        else
        {
            statements.Unnamed = null;
            if (!request.Injected && client is not null && client.Statements.Unnamed == statement)
            {
                client.Statements.Unnamed = null;
            }
        }
    }

    private void OnCopyIn()
    {
        CopyIn = true;
        var kind = _pending.Oldest.Kind;
        _pending.RemoveBehindOldest(RequestKind.Sync, until: RequestKind.CopyEnd);
        _unsynced = kind == RequestKind.Execute && !HasPending(RequestKind.Sync);
    }

    private bool CopyWasEnded() => HasPending(RequestKind.CopyEnd);

    private bool HasPending(RequestKind kind)
    {
        for (var i = 0; i < _pending.Count; i++)
        {
            if (_pending[i].Kind == kind)
            {
                return true;
            }
        }

        return false;
    }
}
