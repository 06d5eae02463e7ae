using System.Text;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Authentication;
using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Protocol;
using Shared.Streams;
using Shared.Streams.Memory;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>A client that sends exactly the messages it is told to, and shows each answer as a line of text.</summary>
internal sealed class WireClient : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly MessageReader _reader;
    private readonly Task _serving;

    private WireClient(DuplexStream stream, Task serving)
    {
        (_reader, _serving) = (new MessageReader(stream), serving);
    }

    public DuplexStream Stream => _reader.Stream;

    /// <summary>What the server reported at login.</summary>
    public Dictionary<string, string> Parameters { get; } = [];

    public int ProcessId { get; private set; }

    public byte[] CancelKey { get; private set; } = [];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>Connects to the pooler.</summary>
    public static Task<WireClient> ConnectAsync(PostgresPooler pooler, params (string Name, string Value)[] settings) =>
        ConnectAsAsync(pooler, "app", PoolFixture.Password, "postgres", settings);

    /// <summary>Connects to the pooler as anybody.</summary>
    public static Task<WireClient> ConnectAsAsync(
        PostgresPooler pooler, string user, string password, string database, params (string Name, string Value)[] settings) =>
        ConnectAsync(pooler, trusted: false, user, password, database, settings);

    /// <summary>Connects to the pooler without a password.</summary>
    public static Task<WireClient> ConnectTrustedAsync(PostgresPooler pooler, params (string Name, string Value)[] settings) =>
        ConnectAsync(pooler, trusted: true, "app", PoolFixture.Password, "postgres", settings);

    /// <summary>Connects to PostgreSQL itself.</summary>
    public static async Task<WireClient> ConnectDirectlyAsync(PoolFixture fixture, params (string Name, string Value)[] settings)
    {
        var connected = new WireClient(await fixture.Origin.Dialer.DialAsync(Cancelled), Task.CompletedTask);
        await connected.LogInAsync("postgres", PoolFixture.Password, "postgres", settings);
        return connected;
    }

    /// <summary>A connection to the pooler on which nothing was said yet.</summary>
    public static WireClient Open(PostgresPooler pooler, bool trusted = false)
    {
        var (client, server) = MemoryDuplexStream.CreatePair();
        return new WireClient(client, pooler.ServeAsync(server, new ClientSource("test", IsTrusted: trusted), Cancelled));
    }

    /// <summary>
    /// Asks the pooler to cancel, and waits until it has done so. The request is there before its connection is served: it has found its query
    /// when the caller gets the task, and not some time later.
    /// </summary>
    public static async Task CancelAsync(PostgresPooler pooler, int processId, byte[] key)
    {
        var (client, server) = MemoryDuplexStream.CreatePair();
        using var request = new MessageWriter();
        request.BeginUntyped().Int32(80877102).Int32(processId).Bytes(key).End();
        await client.WriteAsync(request.Written, Cancelled);
        await pooler.ServeAsync(server, new ClientSource("test"), Cancelled).WaitAsync(Patience, Cancelled);
        await client.DisposeAsync();
    }

    /// <summary>Waits until the pooler has done with the connection.</summary>
    public Task ServedAsync() => _serving.WaitAsync(Patience, Cancelled);

    public async Task SendAsync(params byte[][] messages) => await Stream.WriteAsync(messages.SelectMany(static message => message).ToArray(), Cancelled).AsTask().WaitAsync(Patience, Cancelled);

    /// <summary>Sends and reads until as many ReadyForQuery have come.</summary>
    public async Task<string[]> AskAsync(int ready, params byte[][] messages)
    {
        await SendAsync(messages);
        return await ReadUntilAsync(line => line.StartsWith('Z') && --ready == 0);
    }

    /// <summary>Sends and reads until the connection is closed.</summary>
    public async Task<string[]> AskUntilClosedAsync(params byte[][] messages)
    {
        await SendAsync(messages);
        return await ReadUntilAsync(static line => line is "closed" or "aborted");
    }

    /// <summary>Sends one query and reads all its answers.</summary>
    public Task<string[]> QueryAsync(string sql) => AskAsync(1, Ask.Query(sql));

    /// <summary>The first column of the first row.</summary>
    public async Task<string> ScalarAsync(string sql)
    {
        var answers = await QueryAsync(sql);
        return answers.FirstOrDefault(static line => line.StartsWith("D ", StringComparison.Ordinal))?[2..] ?? string.Join(" | ", answers);
    }

    public async Task<string[]> ReadUntilAsync(Func<string, bool> last)
    {
        var lines = new List<string>();
        do
        {
            lines.Add(await ReadAsync());
        }
        while (!last(lines[^1]));
        return [.. lines];
    }

    /// <summary>The next message as a line.</summary>
    public async Task<string> ReadAsync()
    {
        try
        {
            var (type, body) = await _reader.ReadMessageAsync(64 * 1024 * 1024, Cancelled).AsTask().WaitAsync(Patience, Cancelled);
            return Show(type, body.Span);
        }
        catch (EndOfStreamException)
        {
            return "closed";
        }
        catch (StreamAbortedException)
        {
            return "aborted";
        }
    }

    /// <summary>Vanishes without a word.</summary>
    public void Abort() => Stream.Abort(StreamAbort.Reset);

    public async ValueTask DisposeAsync()
    {
        await _reader.Stream.DisposeAsync();
        _reader.Dispose();
        await _serving.WaitAsync(Patience, CancellationToken.None);
    }

    private static async Task<WireClient> ConnectAsync(
        PostgresPooler pooler, bool trusted, string user, string password, string database, (string Name, string Value)[] settings)
    {
        var connected = Open(pooler, trusted);
        try
        {
            await connected.LogInAsync(user, password, database, settings);
            return connected;
        }
        catch
        {
            await connected.DisposeAsync();
            throw;
        }
    }

    private async Task LogInAsync(string user, string password, string database, (string Name, string Value)[] settings)
    {
        using var writer = new MessageWriter();
        writer.BeginUntyped().Int32(3 << 16).CString("user").CString(user).CString("database").CString(database);
        foreach (var (name, value) in settings)
        {
            writer.CString(name).CString(value);
        }

        writer.Byte(0).End();
        await Stream.WriteAsync(writer.Written, Cancelled);
        var scram = new ScramClient(password, keys: null, binding: null, couldBind: false);
        while (true)
        {
            writer.Clear();
            var (type, body) = await _reader.ReadMessageAsync(64 * 1024, Cancelled).AsTask().WaitAsync(Patience, Cancelled);
            if (type == BackendMessage.ReadyForQuery)
            {
                return;
            }

            Answer(type, body.Span, scram, writer);
            if (writer.Count > 0)
            {
                await Stream.WriteAsync(writer.Written, Cancelled);
            }
        }
    }

    private void Answer(byte type, ReadOnlySpan<byte> body, ScramClient scram, MessageWriter writer)
    {
        var fields = new BodyReader(body);
        switch (type)
        {
            case BackendMessage.Authentication:
                switch (fields.Int32())
                {
                    case 10:
                        var first = scram.First();
                        writer.Begin(FrontendMessage.Password).CString(ScramClient.Mechanism).Int32(first.Length).Bytes(first).End();
                        break;
                    case 11:
                        writer.Begin(FrontendMessage.Password).Bytes(scram.Final(fields.Rest)).End();
                        break;
                    case 12:
                        scram.Verify(fields.Rest);
                        break;
                    default:
                        break;
                }

                break;
            case BackendMessage.ParameterStatus:
                Parameters[Encoding.UTF8.GetString(fields.CString())] = Encoding.UTF8.GetString(fields.CString());
                break;
            case BackendMessage.BackendKeyData:
                ProcessId = fields.Int32();
                CancelKey = fields.Rest.ToArray();
                break;
            case BackendMessage.ErrorResponse:
                throw new InvalidOperationException(Show(type, body));
            default:
                break;
        }
    }

    private static string Show(byte type, ReadOnlySpan<byte> body)
    {
        var fields = new BodyReader(body);
        switch (type)
        {
            case BackendMessage.ErrorResponse or BackendMessage.NoticeResponse:
                var error = PostgresError.Read(body);
                return $"{(char)type} {error.Severity} {error.Code} {error.Message}";
            case BackendMessage.DataRow:
                var values = new string[fields.Int16()];
                for (var i = 0; i < values.Length; i++)
                {
                    var length = fields.Int32();
                    values[i] = length < 0 ? "null" : Encoding.UTF8.GetString(fields.Bytes(length));
                }

                return "D " + string.Join(",", values);
            case BackendMessage.RowDescription:
                // A table's OID is another one each time it is made.
                var columns = new string[fields.Int16()];
                for (var i = 0; i < columns.Length; i++)
                {
                    var column = Encoding.UTF8.GetString(fields.CString());
                    fields.Bytes(6);
                    columns[i] = $"{column}:{fields.Int32()}";
                    fields.Bytes(8);
                }

                return "T " + string.Join(",", columns);
            case BackendMessage.ParameterStatus:
                return $"S {Encoding.UTF8.GetString(fields.CString())}={Encoding.UTF8.GetString(fields.CString())}";
            case BackendMessage.NotificationResponse:
                fields.Int32();
                return $"A {Encoding.UTF8.GetString(fields.CString())} {Encoding.UTF8.GetString(fields.CString())}";
            case BackendMessage.CommandComplete or BackendMessage.ReadyForQuery or BackendMessage.CopyData:
                return $"{(char)type} {Encoding.UTF8.GetString(body).TrimEnd('\0', '\n')}";
            default:
                return $"{(char)type} {Convert.ToHexStringLower(body)}";
        }
    }
}
