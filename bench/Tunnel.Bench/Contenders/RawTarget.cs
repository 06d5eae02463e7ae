using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Tunnel.Bench.Contenders;

/// <summary>
/// The target of the raw measures, on TCP and on a Unix socket. The first byte of a connection says what it does:
/// `U` swallows everything until the end and answers the count, `D` and a number of seconds sends for that long and then
/// the count, `E` echoes.
/// </summary>
internal sealed class RawTarget : IAsyncDisposable
{
    public const byte Upload = (byte)'U';
    public const byte Download = (byte)'D';
    public const byte Echo = (byte)'E';

    private const int ChunkSize = 256 * 1024;

    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentDictionary<Socket, Task> _connections = new();
    private readonly Socket _tcp;
    private readonly Socket _unix;
    private readonly Task _accepting;

    public RawTarget(string directory)
    {
        _tcp = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _tcp.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _tcp.Listen(1024);
        TcpEndPoint = (IPEndPoint)_tcp.LocalEndPoint!;

        UnixEndPoint = new UnixDomainSocketEndPoint(Path.Combine(directory, "raw.sock"));
        _unix = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        _unix.Bind(UnixEndPoint);
        _unix.Listen(1024);

        _accepting = Task.WhenAll(AcceptAsync(_tcp), AcceptAsync(_unix));
    }

    public IPEndPoint TcpEndPoint { get; }

    public UnixDomainSocketEndPoint UnixEndPoint { get; }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _tcp.Dispose();
        _unix.Dispose();
        await _accepting;
        await Task.WhenAll(_connections.Values);
        _stopping.Dispose();
    }

    private async Task AcceptAsync(Socket listener)
    {
        while (!_stopping.IsCancellationRequested)
        {
            Socket connection;
            try
            {
                connection = await listener.AcceptAsync(_stopping.Token);
            }
            catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }

            var serving = ServeAsync(connection);
            _connections[connection] = serving;
            _ = serving.ContinueWith(_ => _connections.TryRemove(connection, out var _), TaskScheduler.Default);
        }
    }

    private async Task ServeAsync(Socket connection)
    {
        using (connection)
        {
            try
            {
                if (connection.AddressFamily == AddressFamily.InterNetwork)
                {
                    connection.NoDelay = true;
                }

                var kind = new byte[1];
                await connection.ReceiveExactlyAsync(kind, _stopping.Token);
                await (kind[0] switch
                {
                    Upload => SwallowAsync(connection),
                    Download => SendAsync(connection),
                    Echo => EchoAsync(connection),
                    _ => Task.CompletedTask,
                });
            }
            catch (Exception exception) when (exception is SocketException or EndOfStreamException or OperationCanceledException)
            {
                // The client left in the middle: that is its own failure to report, and it does.
            }
        }
    }

    private async Task SwallowAsync(Socket connection)
    {
        // Rented, because a thousand streams may do this at once, again and again.
        var buffer = ArrayPool<byte>.Shared.Rent(ChunkSize);
        try
        {
            long count = 0;
            int read;
            while ((read = await connection.ReceiveAsync(buffer, _stopping.Token)) > 0)
            {
                count += read;
            }

            await SendCountAsync(connection, count);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task SendAsync(Socket connection)
    {
        var seconds = new byte[1];
        await connection.ReceiveExactlyAsync(seconds, _stopping.Token);
        var buffer = new byte[ChunkSize];
        Random.Shared.NextBytes(buffer);
        long count = 0;
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed < TimeSpan.FromSeconds(seconds[0]))
        {
            await connection.SendExactlyAsync(buffer, _stopping.Token);
            count += buffer.Length;
        }

        await SendCountAsync(connection, count);
    }

    private async Task EchoAsync(Socket connection)
    {
        var buffer = new byte[1024];
        int read;
        while ((read = await connection.ReceiveAsync(buffer, _stopping.Token)) > 0)
        {
            await connection.SendExactlyAsync(buffer.AsMemory(0, read), _stopping.Token);
        }
    }

    private async Task SendCountAsync(Socket connection, long count)
    {
        var answer = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(answer, count);
        await connection.SendExactlyAsync(answer, _stopping.Token);
        connection.Shutdown(SocketShutdown.Send);
    }
}
