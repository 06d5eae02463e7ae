using System.Buffers.Binary;
using System.Text;
using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Sql;
using Shared.Pooling.Postgres.Statements;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// Says a client's requests to a server connection in that connection's terms: its names for statements, what it has prepared, what it
/// has to be told first. Called under the connection's gate.
/// </summary>
/// <param name="client">Whose requests.</param>
internal sealed partial class RequestTranslator(ClientSession client)
{
    // What the last scan on this thread has found: used at once, and of no use to an idle client.
    [ThreadStatic] private static SqlEffects? _seen;

    // A function that is called by its number may be any.
    private static readonly SqlEffect[] AnyFunction = [new(SqlEffectKind.Opaque, Statement: 0)];

    private static readonly SqlEffect[] TooLong = [new(SqlEffectKind.Unseen, Statement: 0)];

    private readonly ClientPortals _portals = new();

    /// <summary>The transaction is over, and its portals with it.</summary>
    public void PortalsGone() => _portals.Clear();

    /// <summary>How many bytes of a Bind message hold its two names.</summary>
    /// <param name="buffered">What of it arrived.</param>
    /// <param name="limit">How many bytes they may take.</param>
    /// <exception cref="ProtocolViolationException">They take more.</exception>
    public static int NamesEnd(ReadOnlySpan<byte> buffered, int limit)
    {
        var message = buffered[..Math.Min(buffered.Length, limit)];
        var names = message[Math.Min(MessageReader.HeaderSize, message.Length)..];
        var portal = names.IndexOf((byte)0);
        var statement = portal < 0 ? -1 : names[(portal + 1)..].IndexOf((byte)0);
        return statement >= 0 ? MessageReader.HeaderSize + portal + statement + 2
            : buffered.Length < limit ? buffered.Length + 1
            : throw new ProtocolViolationException("a name is too long, or has no end");
    }

    /// <summary>Asks the server connection.</summary>
    /// <param name="server">The connection; under its gate.</param>
    /// <param name="type">The message's type.</param>
    /// <param name="length">Its whole length.</param>
    /// <param name="message">What of it arrived: all of it for messages that are looked into.</param>
    /// <returns>False when the message goes nowhere: the server is skipping to the next Sync, or its copy has ended.</returns>
    public bool Forward(ServerSession server, byte type, int length, ReadOnlySpan<byte> message)
    {
        var conversation = server.Conversation;
        if (conversation.Skipping && type != FrontendMessage.Sync)
        {
            return false;
        }

        client.Activity.Asked();
        var body = message[MessageReader.HeaderSize..];
        switch (type)
        {
            case FrontendMessage.Parse:
                return TryParse(server, length, message);
            case FrontendMessage.Bind:
                return TryBind(server, length, message);
            case FrontendMessage.Describe:
                Describe(server, message);
                return true;
            case FrontendMessage.Close:
                Close(server, message);
                return true;
            case FrontendMessage.Execute:
                conversation.Ask(new PendingRequest { Kind = RequestKind.Execute, Effects = EffectsOf(new BodyReader(body).CString()) });
                break;
            case FrontendMessage.Sync:
                conversation.Ask(new PendingRequest { Kind = RequestKind.Sync });
                break;
            case FrontendMessage.Query:
                return TryQuery(server, length, message);
            case FrontendMessage.FunctionCall:
                client.EffectsAsked(AnyFunction);
                conversation.Ask(new PendingRequest { Kind = RequestKind.FunctionCall });
                break;
            case FrontendMessage.CopyDone or FrontendMessage.CopyFail:
                if (conversation.IsAnswered)
                {
                    return false;
                }

                conversation.Ask(new PendingRequest { Kind = RequestKind.CopyEnd });
                break;
            case FrontendMessage.CopyData when conversation.IsAnswered:
                return false;
            default:
                break;
        }

        server.Requests.Bytes(message);
        return true;
    }

    /// <returns>False when the rest of it goes nowhere.</returns>
    private bool TryQuery(ServerSession server, int length, ReadOnlySpan<byte> message)
    {
        SqlEffect[]? effects = null;
        PostgresError? refusal = null;
        var statements = 0;
        var seen = _seen ??= new SqlEffects();
        if (message.Length < length)
        {
            refusal = RefusalOfLength(length);
            server.Pins |= refusal is null ? Pins.Unseen : Pins.None;
            client.EffectsAsked(TooLong);
        }
        else
        {
            SqlScanner.Scan(new BodyReader(message[MessageReader.HeaderSize..]).CString(), client.StandardConformingStrings, seen);
            effects = seen.Count == 0 ? null : seen.ToArray();
            statements = Math.Max(seen.Statements, 1);
            refusal = client.Policy.Refusal(effects);
        }

        // A simple query ends the unnamed statement, as PostgreSQL says under "Extended Query".
        client.Statements.Unnamed = null;
        server.Statements.Unnamed = null;
        client.EffectsAsked(effects);
        if (refusal is not null)
        {
            AskRefused(server, RequestKind.Query, refusal);
            return false;
        }

        if (statements == 1 && effects is [{ Kind: SqlEffectKind.Deallocate, Name: { } name }] && FindDeallocated(name) is { } statement)
        {
            Prepare(server, statement);
            server.Conversation.Ask(new PendingRequest { Kind = RequestKind.Query, Statement = statement, ClientName = name, Effects = effects });
            server.Requests.Begin(FrontendMessage.Query).Bytes("DEALLOCATE "u8).CString(statement.ServerName).End();
        }
        else
        {
            server.Conversation.Ask(new PendingRequest { Kind = RequestKind.Query, Effects = effects, Statements = statements });
            server.Requests.Bytes(message);
        }

        return true;
    }

    /// <returns>False when the rest of it goes nowhere.</returns>
    private bool TryParse(ServerSession server, int length, ReadOnlySpan<byte> message)
    {
        if (message.Length == length)
        {
            Parse(server, message);
            return true;
        }

        if (RefusalOfLength(length) is { } refusal)
        {
            AskRefused(server, RequestKind.Parse, refusal);
            return false;
        }

        if (message[MessageReader.HeaderSize] == 0)
        {
            // What Bind means from now on is this one, and not the one before.
            client.Statements.Unnamed = null;
            server.Statements.Unnamed = null;
        }

        client.EffectsAsked(TooLong);
        server.Pins |= Pins.Unseen;
        server.Conversation.Ask(new PendingRequest { Kind = RequestKind.Parse });
        server.Requests.Bytes(message);
        return true;
    }

    private PostgresError? RefusalOfLength(int length) => client.Policy.RefusalOfUnseen(
        $"a statement of {length} bytes is too long to be looked into", $"Send {client.Pool.Options.MaxStatementLength} bytes at most.");

    private void Parse(ServerSession server, ReadOnlySpan<byte> message)
    {
        var reader = new BodyReader(message[MessageReader.HeaderSize..]);
        var name = reader.CString();
        var definition = reader.Rest;
        if (name.IsEmpty)
        {
            ParseUnnamed(server, message, definition);
            return;
        }

        if (client.Statements.Find(name) is { } taken)
        {
            Prepare(server, taken);
            server.Conversation.Ask(new PendingRequest { Kind = RequestKind.DuplicateParse, Statement = taken, ClientName = ClientStatements.NameOf(name) });
            server.Requests.Begin(FrontendMessage.Parse).CString(taken.ServerName).Bytes(definition).End();
            return;
        }

        if (client.Statements.Refusal(name, definition.Length) is { } tooMuch)
        {
            AskRefused(server, RequestKind.Parse, tooMuch);
            return;
        }

        var statement = client.Pool.Statements.Intern(definition, client.Meaning, client.StandardConformingStrings);
        if (client.Policy.Refusal(statement.Effects) is { } refusal)
        {
            AskRefused(server, RequestKind.Parse, refusal);
            return;
        }

        var clientName = ClientStatements.NameOf(name);
        client.Statements.Set(clientName, statement);
        if (server.Statements.Use(statement))
        {
            server.Conversation.Ask(new PendingRequest { Kind = RequestKind.KnownParse, Statement = statement, ClientName = clientName });
            AnswerWhatIsDue(server);
            return;
        }

        Prepare(server, statement, clientName);
    }

    private void ParseUnnamed(ServerSession server, ReadOnlySpan<byte> message, ReadOnlySpan<byte> definition)
    {
        var statement = client.Statements.Unnamed is { } same && same.Definition.SequenceEqual(definition)
            ? same
            : PreparedStatement.Unnamed(definition, client.StandardConformingStrings);
        if (client.Policy.Refusal(statement.Effects) is { } refusal)
        {
            AskRefused(server, RequestKind.Parse, refusal);
            return;
        }

        client.Statements.Unnamed = statement;
        server.Statements.Unnamed = statement;
        server.Conversation.Ask(new PendingRequest { Kind = RequestKind.Parse, Statement = statement, ClientName = "" });
        server.Requests.Bytes(message);
    }

    /// <returns>False when it is refused.</returns>
    private bool TryBind(ServerSession server, int length, ReadOnlySpan<byte> message)
    {
        var reader = new BodyReader(message[MessageReader.HeaderSize..]);
        var portal = reader.CString();
        var name = reader.CString();
        var statement = Resolve(server, name, out var known);
        if (_portals.Refusal(portal, statement?.Effects) is { } tooMuch)
        {
            AskRefused(server, RequestKind.Parse, tooMuch);
            return false;
        }

        var serverName = ServerNameOf(statement, name);
        _portals.Set(portal, statement?.Effects);

        server.Conversation.Ask(new PendingRequest
        {
            Kind = RequestKind.Bind,
            Statement = statement,
            ClientName = known ?? NameForErrors(statement, name),
        });
        Span<byte> header = stackalloc byte[MessageReader.HeaderSize];
        header[0] = FrontendMessage.Bind;
        BinaryPrimitives.WriteInt32BigEndian(header[1..], length - 1 - name.Length + serverName.Length);
        server.Requests.Bytes(header).CString(portal).CString(serverName).Bytes(reader.Rest);
        return true;
    }

    private void Describe(ServerSession server, ReadOnlySpan<byte> message)
    {
        var what = Target(message[MessageReader.HeaderSize..], out var name);
        if (what != 'S')
        {
            server.Conversation.Ask(new PendingRequest { Kind = RequestKind.DescribePortal });
            server.Requests.Bytes(message);
            return;
        }

        var statement = Resolve(server, name, out var known);
        server.Conversation.Ask(new PendingRequest
        {
            Kind = RequestKind.DescribeStatement,
            Statement = statement,
            ClientName = known ?? NameForErrors(statement, name),
        });
        server.Requests.Begin(FrontendMessage.Describe).Byte(what).CString(ServerNameOf(statement, name)).End();
    }

    private void Close(ServerSession server, ReadOnlySpan<byte> message)
    {
        var what = Target(message[MessageReader.HeaderSize..], out var name);
        if (what == 'S' && !name.IsEmpty && client.Statements.Find(name) is { } statement)
        {
            var clientName = ClientStatements.NameOf(name);
            client.Statements.Remove(clientName);
            server.Conversation.Ask(new PendingRequest { Kind = RequestKind.SharedClose, Statement = statement, ClientName = clientName });
            AnswerWhatIsDue(server);
            return;
        }

        if (what == 'P')
        {
            _portals.Remove(name);
        }

        var unnamed = what == 'S' && name.IsEmpty ? client.Statements.Unnamed : null;
        if (unnamed is not null)
        {
            client.Statements.Unnamed = null;
            server.Statements.Unnamed = null;
        }

        server.Conversation.Ask(new PendingRequest { Kind = RequestKind.Close, Statement = unnamed });
        server.Requests.Begin(FrontendMessage.Close).Byte(what).CString(what == 'S' ? ServerNameOf(null, name) : name).End();
    }

    /// <summary>What a Describe or Close is about: a statement or a portal, and its name.</summary>
    /// <exception cref="ProtocolViolationException">It is about something else, or not well formed.</exception>
    private static byte Target(ReadOnlySpan<byte> body, out ReadOnlySpan<byte> name)
    {
        var reader = new BodyReader(body);
        var what = reader.Byte();
        name = reader.CString();
        reader.End();
        return what is (byte)'S' or (byte)'P' ? what : throw new ProtocolViolationException("a message is about neither a statement nor a portal");
    }

    /// <summary>The statement of a client's name, prepared on the server connection; null when the client has none of that name.</summary>
    private PreparedStatement? Resolve(ServerSession server, ReadOnlySpan<byte> name, out string? known)
    {
        known = null;
        if (name.IsEmpty)
        {
            PrepareUnnamed(server, client.Statements.Unnamed);
            return client.Statements.Unnamed;
        }

        if (client.Statements.Find(name, out known) is not { } statement)
        {
            return null;
        }

        if (!ReferenceEquals(statement.Meaning, client.Meaning) && statement.Meaning != client.Meaning)
        {
            statement = client.Pool.Statements.Intern(statement.Definition, client.Meaning, client.StandardConformingStrings);
            client.Statements.Set(known!, statement);
        }

        Prepare(server, statement);
        return statement;
    }

    // The server's error names the statement as the server knows it.
    private static string? NameForErrors(PreparedStatement? statement, ReadOnlySpan<byte> name) =>
        !name.IsEmpty && (statement is not null || name.StartsWith(PreparedStatement.NamePrefix)) ? ClientStatements.NameOf(name) : null;

    // A name that the client has not given passes as it is, for SQL's PREPARE; but never as one of ours.
    private static ReadOnlySpan<byte> ServerNameOf(PreparedStatement? statement, ReadOnlySpan<byte> name) =>
        name.IsEmpty ? default
        : statement is not null ? statement.ServerName
        : name.StartsWith(PreparedStatement.NamePrefix) ? PreparedStatement.NoSuchName
        : name;

    private void AnswerWhatIsDue(ServerSession server)
    {
        if (!server.IsDelivering)
        {
            client.Output.Append(server.Conversation, static (writer, conversation) => conversation.WriteLocalAnswers(writer));
        }
    }

    // The server refuses it as it refuses any mistake, in its turn and with all consequences for the transaction; the words are ours.
    private static void AskRefused(ServerSession server, RequestKind kind, PostgresError refusal)
    {
        server.Conversation.Ask(new PendingRequest { Kind = kind, Refusal = refusal });
        if (kind == RequestKind.Query)
        {
            server.Requests.Begin(FrontendMessage.Query).CString("refused"u8).End();
        }
        else
        {
            server.Requests.Begin(FrontendMessage.Parse).Byte(0).CString("refused"u8).Int16(0).End();
            server.Statements.Unnamed = null;
        }
    }

    private PreparedStatement? FindDeallocated(string name) => client.Statements.Find(Encoding.UTF8.GetBytes(name));

    private SqlEffect[]? EffectsOf(ReadOnlySpan<byte> portal)
    {
        var effects = _portals.EffectsOf(portal);
        client.EffectsAsked(effects);
        return effects;
    }
}
