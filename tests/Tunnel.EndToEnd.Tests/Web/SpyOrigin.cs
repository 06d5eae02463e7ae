using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>
/// An origin without a web server in it: it records every byte of every connection, and does what the test tells it to once the headers
/// of a request are there. By default that is to answer each set of headers with an empty 200.
/// </summary>
public sealed partial class SpyOrigin : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stopped = new();
    private readonly ConcurrentQueue<Connection> _connections = new();
    private readonly Task _accepting;

    public SpyOrigin()
    {
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>What happens when a request's headers have come; true when the connection goes on.</summary>
    public Func<Connection, Task<bool>>? OnRequest { get; set; }

    /// <summary>All bytes of all connections, as Latin-1.</summary>
    public IReadOnlyList<string> Received => [.. _connections.Select(static connection => connection.Received).Where(static text => text.Length > 0)];

    /// <summary>
    /// The one connection's bytes that a text is in, from the beginning of the request that it is in. Of the test before, something may
    /// still come after a reset: a request that was cut, or the body of one that was answered before it had ended.
    /// </summary>
    public string RequestWith(string mark)
    {
        var received = Assert.Single(Received, text => text.Contains(mark, StringComparison.Ordinal));
        var head = received[..received.IndexOf(mark, StringComparison.Ordinal)];
        return received[(RequestLine().Matches(head) is [.., { } last] ? last.Index : 0)..];
    }

    /// <summary>Forgets what was seen, and does what it does by default.</summary>
    public void Reset()
    {
        OnRequest = null;
        foreach (var connection in _connections)
        {
            connection.Forget();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopped.CancelAsync();
        _listener.Dispose();
        await _accepting;
        _stopped.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var connection = new Connection(await _listener.AcceptSocketAsync(_stopped.Token));
                _connections.Enqueue(connection);
                _ = ServeAsync(connection);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // The tests are over.
        }
    }

    private async Task ServeAsync(Connection connection)
    {
        using var socket = connection.Socket;
        try
        {
            for (var answered = 0; await connection.ReceiveAsync(_stopped.Token);)
            {
                // Whatever looks like the end of a set of headers counts as one, in a body, too: a smuggled request would show.
                for (; answered < connection.HeaderEnds; answered++)
                {
                    var goesOn = OnRequest is { } react ? await react(connection) : await connection.AnswerAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                    if (!goesOn)
                    {
                        return;
                    }
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // The other side has left.
        }
    }

    [GeneratedRegex("[A-Z]+ [^ ]+ HTTP/1\\.1\r\n")]
    private static partial Regex RequestLine();

    /// <summary>One connection to the spy.</summary>
    public sealed class Connection(Socket socket)
    {
        private readonly StringBuilder _received = new();
        private readonly byte[] _buffer = new byte[16 * 1024];
        private int _seen;

        public Socket Socket => socket;

        /// <summary>What has come since it was forgotten.</summary>
        public string Received => All[_seen..];

        /// <summary>How often the end of a set of headers has come.</summary>
        public int HeaderEnds => All.Split("\r\n\r\n").Length - 1;

        private string All
        {
            get
            {
                lock (_received)
                {
                    return _received.ToString();
                }
            }
        }

        public void Forget() => _seen = All.Length;

        public async Task<bool> AnswerAsync(string text)
        {
            await socket.SendAsync(Encoding.Latin1.GetBytes(text));
            return true;
        }

        internal async Task<bool> ReceiveAsync(CancellationToken cancellationToken)
        {
            var count = await socket.ReceiveAsync(_buffer, cancellationToken);
            lock (_received)
            {
                if (_received.Length < 1_000_000)
                {
                    _received.Append(Encoding.Latin1.GetString(_buffer, 0, count));
                }
            }

            return count > 0;
        }
    }
}
