using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// Takes a client's messages one after the other: answers what needs no server, links a server connection for the rest and writes them
/// to it, all that arrived together in one piece. Large messages pass through without being collected.
/// Previous stop of a request: <see cref="ClientSession"/>. Next stop: <see cref="ServerSession.Requests"/>.
/// </summary>
/// <param name="client">Whose messages.</param>
/// <param name="reader">Where they arrive.</param>
internal sealed class RequestForwarder(ClientSession client, MessageReader reader)
{
    /// <summary>PostgreSQL's own limit (PQ_LARGE_MESSAGE_LIMIT), in bytes.</summary>
    private const long LargestMessage = 0x3fffffff;

    /// <summary>The largest message whose only content is names, in bytes.</summary>
    private const int LargestNames = 16 * 1024;

    /// <summary>From this many bytes on, data goes to the server from where it was read instead of being collected.</summary>
    private const int DirectWrite = 4 * 1024;

    /// <summary>So many reads in a row without a wait; then others of this thread have their turn.</summary>
    private const int MaxInARow = 64;

    private readonly RequestTranslator _translator = new(client);
    private ServerSession? _passingTo;
    private long _passing;
    private bool _skipping;
    private bool _terminated;

    private enum Next
    {
        /// <summary>A message was taken; there may be another.</summary>
        Message,

        /// <summary>Nothing is left of what arrived.</summary>
        Nothing,

        /// <summary>More of the message has to arrive.</summary>
        Bytes,

        /// <summary>A server connection is needed.</summary>
        Server,

        /// <summary>The server connection was unlinked meanwhile: to be looked at anew.</summary>
        Again,

        /// <summary>What is left of a large message goes on as it is.</summary>
        Rest,
    }

    /// <summary>Runs until the client says goodbye or ends its direction.</summary>
    /// <exception cref="ProtocolViolationException">It does not speak the protocol.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var inARow = 0;
        while (!_terminated)
        {
            var waiting = reader.WaitAsync(cancellationToken);
            inARow = waiting.IsCompleted ? inARow + 1 : 0;
            await waiting;
            if (!reader.Add(await reader.ReadAsync(cancellationToken)))
            {
                return;
            }

            for (var next = Take(out var needed); next != Next.Nothing; next = Take(out needed))
            {
                if (next == Next.Server)
                {
                    var (server, failure) = ((ServerSession?)null, (Exception?)null);
                    try
                    {
                        server = await client.AcquireAsync();
                    }
                    catch (Exception exception) when (exception is IOException or OperationCanceledException)
                    {
                        failure = exception;
                    }

                    if (client.Link(server, failure) is { } refusal)
                    {
                        Refuse(refusal);
                    }

                    await client.SettleAsync();
                    cancellationToken.ThrowIfCancellationRequested();
                }
                else if (next != Next.Message)
                {
                    await GoOnAsync(next, needed, cancellationToken);
                }
            }

            await FlushAsync(cancellationToken);
            if (inARow >= MaxInARow)
            {
                await Task.Yield();
                inARow = 0;
            }
        }
    }

    /// <summary>The transaction is over, and its portals with it.</summary>
    public void PortalsGone() => _translator.PortalsGone();

    private async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        if (client.Server is { } server)
        {
            await server.FlushRequestsAsync(client, cancellationToken);
        }

        await client.Output.FlushAsync(cancellationToken);
    }

    private async ValueTask GoOnAsync(Next next, int needed, CancellationToken cancellationToken)
    {
        switch (next)
        {
            case Next.Bytes:
                await FlushAsync(cancellationToken);
                await reader.FillOrThrowAsync(needed, cancellationToken);
                break;
            case Next.Rest:
                await PassAsync(cancellationToken);
                break;
            default:
                cancellationToken.ThrowIfCancellationRequested();
                break;
        }
    }

    /// <summary>Takes what comes next as far as that needs no waiting.</summary>
    /// <param name="needed">For <see cref="Next.Bytes"/>: how many have to be there.</param>
    private Next Take(out int needed)
    {
        needed = 0;
        if (_passing > 0)
        {
            return reader.Buffered.IsEmpty ? Next.Nothing : Next.Rest;
        }

        if (!reader.TryPeekHeader(out var type, out var length))
        {
            return Next.Nothing;
        }

        if (length > LargestMessage)
        {
            throw new ProtocolViolationException("invalid message length");
        }

        needed = Needed(type, (int)length);
        return reader.Buffered.Length < needed ? Next.Bytes : Handle(type, (int)length);
    }

    // Statements are looked into, names are needed, data is not.
    private int Needed(byte type, int length)
    {
        switch (type)
        {
            case FrontendMessage.Parse or FrontendMessage.Query:
                // Whether a statement has a name shows in the first byte.
                return length <= client.Pool.Options.MaxStatementLength ? length : MessageReader.HeaderSize + 1;
            case FrontendMessage.Bind:
                return RequestTranslator.NamesEnd(reader.Buffered.Span, Math.Min(length, LargestNames));
            case FrontendMessage.CopyData or FrontendMessage.CopyFail or FrontendMessage.FunctionCall:
                return MessageReader.HeaderSize;
            case FrontendMessage.Close or FrontendMessage.Describe or FrontendMessage.Execute:
                return length <= LargestNames ? length : throw new ProtocolViolationException("a name is too long");
            case FrontendMessage.Sync or FrontendMessage.Flush or FrontendMessage.CopyDone or FrontendMessage.Terminate:
                return length == MessageReader.HeaderSize ? length : throw new ProtocolViolationException("invalid message length");
            default:
                throw new ProtocolViolationException($"invalid frontend message type {type}");
        }
    }

    private Next Handle(byte type, int length)
    {
        if (type == FrontendMessage.Terminate)
        {
            _terminated = true;
            return Next.Nothing;
        }

        var here = Math.Min(length, reader.Buffered.Length);
        if (_skipping)
        {
            _skipping = type != FrontendMessage.Sync;
            if (!_skipping)
            {
                SayReady();
            }

            Used(server: null, length, here);
            return Next.Message;
        }

        if (client.Server is { } linked)
        {
            return TryForward(linked, type, length, here) ? Next.Message : Next.Again;
        }

        if (!_translator.TryAnswerHere(type, length, reader.Buffered.Span[..here]))
        {
            return Next.Server;
        }

        Used(server: null, length, here);
        return Next.Message;
    }

    private bool TryForward(ServerSession server, byte type, int length, int here)
    {
        lock (server.Gate)
        {
            if (server.Client != client)
            {
                return false;
            }

            var forwarded = _translator.Forward(server, type, length, reader.Buffered.Span[..here]);
            server.PartialRequest = forwarded && here < length;
            Used(server.PartialRequest ? server : null, length, here);
            return true;
        }
    }

    // What is left of the message goes on to the same server, or nowhere.
    private void Used(ServerSession? server, int length, int here)
    {
        reader.Advance(here);
        _passing = length - here;
        _passingTo = server;
    }

    private async ValueTask PassAsync(CancellationToken cancellationToken)
    {
        var piece = reader.Buffered[..(int)Math.Min(_passing, reader.Buffered.Length)];
        _passing -= piece.Length;
        if (_passingTo is { } server)
        {
            lock (server.Gate)
            {
                server.PartialRequest = _passing > 0;
                if (piece.Length < DirectWrite)
                {
                    server.Requests.Bytes(piece.Span);
                }
            }

            if (piece.Length >= DirectWrite)
            {
                await server.WriteAsync(client, piece, cancellationToken);
            }
        }

        reader.Advance(piece.Length);
    }

    /// <summary>Answers a request that no server can be asked as a server would that cannot do it.</summary>
    private void Refuse(PostgresError error)
    {
        reader.TryPeekHeader(out var type, out var length);
        client.Output.Append(error, static (writer, said) => said.Write(writer));
        if (type is FrontendMessage.Query or FrontendMessage.FunctionCall)
        {
            SayReady();
        }
        else
        {
            _skipping = true;
        }

        Used(server: null, (int)length, (int)Math.Min(length, reader.Buffered.Length));
    }

    private void SayReady() =>
        client.Output.Append(0, static (writer, _) => writer.Begin(BackendMessage.ReadyForQuery).Byte((byte)'I').End());
}
