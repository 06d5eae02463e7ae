using System.Net;
using System.Net.Sockets;
using Shared.Streams.Sockets;

namespace Shared.Streams.Dialing;

/// <summary>
/// Connects a TCP socket to a host, racing its addresses as RFC 8305 ("happy eyeballs") describes: a new attempt every 250 ms
/// or as soon as one fails; the first to connect wins, the others are closed. Safe for concurrent use.
/// </summary>
internal static class TcpConnector
{
    private static readonly TimeSpan AttemptDelay = TimeSpan.FromMilliseconds(250);

    /// <summary>Connects, or says why not.</summary>
    /// <exception cref="DialException">Hop resolve or connect; code not-resolved, connection-refused, timeout or unreachable.</exception>
    public static async ValueTask<SocketStream> ConnectAsync(
        string host, int port, TimeSpan timeout, TimeProvider time, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(timeout, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        try
        {
            var addresses = await HostResolver.ResolveAsync(host, limit.Token);
            return addresses.Count == 1
                ? await AttemptAsync(addresses[0], port, limit.Token)
                : await RaceAsync(addresses, port, time, limit.Token);
        }
        catch (SocketException exception)
        {
            throw Failure(host, port, exception);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new DialException(
                Hop.Connect, "timeout", $"No TCP connection to {host}:{port} within {timeout.TotalSeconds:0.#} s. Check the address, the port and the firewalls between.", exception);
        }
    }

    private static async Task<SocketStream> RaceAsync(
        IReadOnlyList<IPAddress> addresses, int port, TimeProvider time, CancellationToken cancellationToken)
    {
        using var race = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = new List<Task<SocketStream>>();
        var next = 0;
        SocketException? firstFailure = null;
        try
        {
            while (true)
            {
                if (next < addresses.Count)
                {
                    running.Add(AttemptAsync(addresses[next++], port, race.Token));
                }

                var delay = next < addresses.Count
                    ? Task.Delay(AttemptDelay, time, race.Token)
                    : Task.Delay(Timeout.InfiniteTimeSpan, time, race.Token);
                var done = await Task.WhenAny([.. running, delay]);
                if (done is not Task<SocketStream> attempt)
                {
                    await delay;
                    continue;
                }

                running.Remove(attempt);
                try
                {
                    return await attempt;
                }
                catch (SocketException exception)
                {
                    firstFailure ??= exception;
                    if (running.Count == 0 && next == addresses.Count)
                    {
                        throw firstFailure;
                    }
                }
            }
        }
        finally
        {
            await race.CancelAsync();
            foreach (var loser in running)
            {
                await CloseLoserAsync(loser);
            }
        }
    }

    private static async Task CloseLoserAsync(Task<SocketStream> attempt)
    {
        try
        {
            // In order, not with a reset: it did nothing wrong.
            (await attempt).Close();
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException)
        {
            // It lost the race by failing; the winner is already connected.
        }
    }

    private static async Task<SocketStream> AttemptAsync(IPAddress address, int port, CancellationToken cancellationToken)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            SocketTuning.Apply(socket);
            return await SocketStream.ConnectAsync(socket, new IPEndPoint(address, port), cancellationToken);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static DialException Failure(string host, int port, SocketException exception) => exception.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => new DialException(
            Hop.Connect, "connection-refused", $"{host}:{port} refused the connection. Nothing listens there, or a firewall rejects it.", exception),
        SocketError.TimedOut => new DialException(
            Hop.Connect, "timeout", $"{host}:{port} did not answer. Check the address and the firewalls between.", exception),
        _ => new DialException(
            Hop.Connect, "unreachable", $"No TCP connection to {host}:{port}: {exception.Message}.", exception),
    };
}
