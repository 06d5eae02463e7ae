using System.Collections.Concurrent;
using System.Text;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Protocol;
using Shared.Streams;
using Shared.Streams.Dialing;
using Shared.Streams.Memory;

namespace Shared.Pooling.Tests.Hostile;

/// <summary>What calls itself a PostgreSQL and does to each connection whatever a test tells it to.</summary>
/// <param name="script">What it does; gets the connection's number, counted from 1.</param>
internal sealed class ScriptedOrigin(Func<ScriptedServer, int, Task> script) : IDialer
{
    private readonly ConcurrentQueue<Task> _running = new();
    private readonly TaskCompletionSource _dialed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _count;

    /// <summary>How many connections were opened.</summary>
    public int Count => _count;

    /// <summary>How to log in there.</summary>
    public OriginOptions Options => new() { Dialer = this, Database = "postgres", User = "postgres", Password = "secret", IsLocal = true };

    public ValueTask<DuplexStream> DialAsync(CancellationToken cancellationToken)
    {
        _dialed.TrySetResult();
        var (client, server) = MemoryDuplexStream.CreatePair();
        _running.Enqueue(RunAsync(server, Interlocked.Increment(ref _count)));
        return new(client);
    }

    /// <summary>Waits for the first connection.</summary>
    public Task DialedAsync() => _dialed.Task.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);

    public override string ToString() => "scripted";

    private async Task RunAsync(DuplexStream stream, int number)
    {
        await Task.Yield();
        using var server = new ScriptedServer(stream);
        try
        {
            await script(server, number);
            await stream.CompleteWritesAsync();
        }
        catch (Exception exception) when (exception is StreamAbortedException or EndOfStreamException)
        {
            // The pooler has let go of the connection, as it should.
        }

        await stream.DisposeAsync();
    }
}

/// <summary>One connection of a <see cref="ScriptedOrigin"/>.</summary>
internal sealed class ScriptedServer(DuplexStream stream) : IDisposable
{
    private const int CancelCode = 80877102;

    private readonly MessageReader _reader = new(stream);

    public static byte[] Message(char type, params byte[] body) => [.. BadMessages.WithLength((byte)type, (uint)body.Length + 4), .. body];

    public static byte[] Login(int request, ReadOnlySpan<byte> rest) => Message('R', [0, 0, 0, (byte)request, .. rest]);

    public static byte[] Parameter(string name, string value) => Message('S', [.. Encoding.UTF8.GetBytes(name), 0, .. Encoding.UTF8.GetBytes(value), 0]);

    public static byte[] Row(string value) => Message('D', [0, 1, 0, 0, 0, (byte)value.Length, .. Encoding.UTF8.GetBytes(value)]);

    public static byte[] Complete(string tag = "SELECT 1") => Message('C', [.. Encoding.UTF8.GetBytes(tag), 0]);

    public static byte[] Ready(char status = 'I') => Message('Z', (byte)status);

    public static byte[] Error(string fields) => Message('E', [.. Encoding.UTF8.GetBytes(fields.Replace('|', '\0')), 0, 0]);

    public ValueTask SendAsync(params byte[][] messages) => stream.WriteAsync(messages.SelectMany(static message => message).ToArray());

    /// <summary>Reads the startup message, or a cancel request.</summary>
    public async Task<bool> ReadStartupAsync()
    {
        await _reader.FillOrThrowAsync(8, CancellationToken.None);
        var start = new BodyReader(_reader.Buffered.Span);
        var (length, code) = (start.Int32(), start.Int32());
        await _reader.FillOrThrowAsync(length, CancellationToken.None);
        _reader.Advance(length);
        return code != CancelCode;
    }

    /// <summary>Reads the startup message and lets the pooler in.</summary>
    /// <returns>False when it only wanted to cancel.</returns>
    public async Task<bool> LetInAsync()
    {
        if (!await ReadStartupAsync())
        {
            return false;
        }

        await SendAsync(Login(0, []), Parameter("server_version", "15.0"), Message('K', 0, 0, 0, 1, 1, 2, 3, 4), Ready());
        return true;
    }

    /// <summary>The next message of the pooler's.</summary>
    public async Task<(char Type, byte[] Body)> ReadAsync()
    {
        var (type, body) = await _reader.ReadMessageAsync(1024 * 1024, CancellationToken.None);
        return ((char)type, body.ToArray());
    }

    /// <summary>Answers every query properly, with the connection's number as the only row.</summary>
    public async Task ServeAsync(int number)
    {
        while ((await ReadAsync()).Type is not 'X' and var type)
        {
            if (type == 'Q')
            {
                await SendAsync(Message('T', [0, 1, .. "n\0"u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0]), Row($"{number}"), Complete(), Ready());
            }
        }
    }

    /// <summary>Waits until the pooler gives up.</summary>
    public async Task WaitAsync()
    {
        while (true)
        {
            await ReadAsync();
        }
    }

    public void Dispose() => _reader.Dispose();
}
