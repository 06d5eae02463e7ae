using System.Buffers.Binary;
using Shared.Pooling.Postgres.Protocol;
using Shared.Streams;

namespace Shared.Pooling.Postgres.Sessions;

// What the server says, on its way to the client.
internal sealed partial class ServerSession
{
    /// <summary>So many reads in a row without a wait; then others of this thread have their turn.</summary>
    private const int MaxInARow = 64;

    private async Task RunAsync()
    {
        await Task.Yield();
        var loss = ServerLoss.Closed;
        var reader = _origin.Reader;
        var inARow = 0;
        try
        {
            while (true)
            {
                var waiting = reader.WaitAsync(_closing.Token);
                inARow = waiting.IsCompleted ? inARow + 1 : 0;
                await waiting;
                if (!reader.Add(await reader.ReadAsync(_closing.Token)))
                {
                    break;
                }

                while (await DeliverAsync() is > 0 and var needed)
                {
                    // What is buffered then may be all that the server has to say.
                    await reader.FillOrThrowAsync(needed, _closing.Token);
                }

                if (inARow >= MaxInARow)
                {
                    await Task.Yield();
                    inARow = 0;
                }
            }
        }
        catch (Exception exception)
        {
            // Whatever it is, nobody can be sure of this connection any more; the reason is in the log.
            loss = ServerLoss.From(exception);
        }

        Break(loss);
    }

    /// <returns>How many bytes the message needs that is next, when it has to be whole; otherwise 0.</returns>
    private async ValueTask<int> DeliverAsync()
    {
        ReadOnlyMemory<byte> direct = default;
        ClientSession? client;
        int used, needed;
        var (unlinked, reusable) = (false, false);
        lock (Gate)
        {
            client = _client;
            var bytes = _origin.Reader.Buffered;
            (var run, used, needed) = Take(bytes.Span, client);
            var rest = bytes[run..used];
            unlinked = client is not null && CanUnlink();
            if (client is not null && !unlinked && rest.Length >= DirectWrite)
            {
                direct = rest;
                _delivering = true;
            }
            else if (!rest.IsEmpty)
            {
                client?.Output.Append(rest.Span);
            }

            reusable = unlinked && Unlink(client!);
        }

        if (client is not null && !unlinked)
        {
            await SendOnAsync(client, direct);
        }

        _origin.Reader.Advance(used);
        if (unlinked)
        {
            // The connection is free before its client can have seen that it is, so his next query finds it.
            try
            {
                await ReturnAsync(reusable);
            }
            finally
            {
                // Its answer is here, whatever becomes of the connection.
                client!.FlushInBackground();
            }
        }
        else
        {
            await UnlinkWhenIdleAsync();
        }

        return needed;
    }

    private async ValueTask SendOnAsync(ClientSession client, ReadOnlyMemory<byte> direct)
    {
        try
        {
            if (!direct.IsEmpty)
            {
                await client.Output.WriteAsync(direct, _closing.Token);
                lock (Gate)
                {
                    _delivering = false;
                    AppendLocalAnswers(client);
                }
            }

            await client.Output.FlushAsync(_closing.Token);
        }
        catch (StreamAbortedException)
        {
            // The client's own loop leaves the link; until then the server must not be held up by it.
            lock (Gate)
            {
                _delivering = false;
            }

            client.OutputLost();
        }
    }

    /// <summary>Takes what can be taken of the bytes that arrived.</summary>
    /// <returns>From where to where they go to the client as they are, and how many bytes the message behind them needs.</returns>
    private (int Run, int Used, int Needed) Take(ReadOnlySpan<byte> bytes, ClientSession? client)
    {
        var (run, at) = (0, 0);
        while (true)
        {
            if (_passing > 0)
            {
                var piece = (int)Math.Min(_passing, bytes.Length - at);
                at += piece;
                _passing -= piece;
                if (_passingDropped)
                {
                    run = at;
                }

                if (_passing > 0)
                {
                    return (run, at, 0);
                }
            }

            if (bytes.Length - at < MessageReader.HeaderSize)
            {
                return (run, at, 0);
            }

            var type = bytes[at];
            var length = BinaryPrimitives.ReadInt32BigEndian(bytes[(at + 1)..]) + 1L;
            if (length < MessageReader.HeaderSize)
            {
                throw new ProtocolViolationException("a message of the server's has an impossible length");
            }

            var here = (int)Math.Min(length, bytes.Length - at);
            if (here < length && length <= MostSeen && MustBeWhole(type))
            {
                return (run, at, (int)length);
            }

            var answer = Receive(type, bytes.Slice(at + MessageReader.HeaderSize, here - MessageReader.HeaderSize), client);
            if (answer != Answer.Pass)
            {
                client?.Output.Append(bytes[run..at]);
                run = at + here;
                if (answer == Answer.Replaced)
                {
                    client?.Output.Append(_replacement.Written.Span);
                    _replacement.Clear();
                }
            }

            at += here;
            _passing = length - here;
            _passingDropped = answer != Answer.Pass;
            if (client is not null && Conversation.WriteLocalAnswers(_replacement))
            {
                client.Output.Append(bytes[run..at]);
                client.Output.Append(_replacement.Written.Span);
                _replacement.Clear();
                run = at;
            }
        }
    }

    private Answer Receive(byte type, ReadOnlySpan<byte> body, ClientSession? client)
    {
        if (type == BackendMessage.ParameterStatus)
        {
            var reader = new BodyReader(body);
            var name = System.Text.Encoding.UTF8.GetString(reader.CString());
            var value = System.Text.Encoding.UTF8.GetString(reader.CString());
            Reported = _owner.Share(Reported.With(name, value));
            MayMisread = _isMisreadAtLogin || ReportedSyntax.MayMisread(Reported);
            NeedsReset |= client is not null && MayMisread;
            if (client is null || Conversation.AnswersInjected)
            {
                return Answer.Drop;
            }

            client.Reported(name, value);
            return Answer.Pass;
        }

        if (type == BackendMessage.ErrorResponse)
        {
            var (fatal, hasCode) = PostgresError.Peek(body);
            if (!hasCode)
            {
                throw new ProtocolViolationException("the server sent an error without SQLSTATE");
            }

            _fatal |= fatal;
            if (client is null && Conversation.PendingCount == 0)
            {
                throw new ProtocolViolationException(PostgresError.Read(body).Message);
            }
        }

        var answer = Conversation.Receive(type, body, client, _replacement);
        if (Conversation.InjectedFailure is { } failure)
        {
            client?.End(PostgresError.Fatal(failure.Code, failure.Message));
            throw new ProtocolViolationException($"the client's settings could not be applied: {failure.Message}");
        }

        return client is null ? Answer.Drop : answer;
    }

    // Their content matters here; everything else is passed on piece by piece.
    private static bool MustBeWhole(byte type) => type is BackendMessage.ReadyForQuery or BackendMessage.CommandComplete
        or BackendMessage.ErrorResponse or BackendMessage.ParameterStatus or BackendMessage.NoticeResponse;

    private void AppendLocalAnswers(ClientSession client)
    {
        if (Conversation.WriteLocalAnswers(_replacement))
        {
            client.Output.Append(_replacement.Written.Span);
            _replacement.Clear();
        }
    }
}
