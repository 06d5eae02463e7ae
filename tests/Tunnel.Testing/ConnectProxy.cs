using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Tunnel.Testing;

/// <summary>An HTTP proxy that tunnels CONNECT requests (RFC 9110 section 9.3.6), or refuses them all.</summary>
public sealed class ConnectProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly List<string> _requests = [];
    private readonly bool _refuses;
    private readonly Task _accepting;

    private ConnectProxy(bool refuses)
    {
        _refuses = refuses;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>What goes into HTTPS_PROXY.</summary>
    public string Address => $"http://{_listener.LocalEndpoint}";

    /// <summary>The authorities that were asked for.</summary>
    public IReadOnlyList<string> Requests
    {
        get
        {
            lock (_requests)
            {
                return [.. _requests];
            }
        }
    }

    /// <summary>Starts one on a free port of the loopback address.</summary>
    /// <param name="refuses">True to answer every request with 403.</param>
    public static ConnectProxy Start(bool refuses = false) => new(refuses);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        var open = new List<Task>();
        try
        {
            while (true)
            {
                open.Add(ServeAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            await Task.WhenAll(open);
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using var near = client;
        try
        {
            var stream = near.GetStream();
            var authority = await ReadRequestAsync(stream);
            lock (_requests)
            {
                _requests.Add(authority);
            }

            if (_refuses)
            {
                await stream.WriteAsync("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"u8.ToArray(), _stop.Token);
                return;
            }

            using var far = new TcpClient();
            var split = authority.LastIndexOf(':');
            var host = authority[..split].EndsWith("localhost", StringComparison.Ordinal) ? "127.0.0.1" : authority[..split];
            await far.ConnectAsync(host, int.Parse(authority[(split + 1)..], CultureInfo.InvariantCulture), _stop.Token);
            await stream.WriteAsync("HTTP/1.1 200 Connection established\r\n\r\n"u8.ToArray(), _stop.Token);
            await Task.WhenAny(stream.CopyToAsync(far.GetStream(), _stop.Token), far.GetStream().CopyToAsync(stream, _stop.Token));
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException)
        {
            // Either end may go at any time; the connection just ends.
        }
    }

    // Byte by byte, so that nothing behind the request's empty line is taken.
    private async Task<string> ReadRequestAsync(NetworkStream stream)
    {
        var request = new StringBuilder();
        var one = new byte[1];
        while (!request.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            await stream.ReadExactlyAsync(one, _stop.Token);
            request.Append((char)one[0]);
        }

        return request.ToString().Split(' ') is ["CONNECT", var authority, ..] ? authority : throw new IOException("not a CONNECT request");
    }
}
