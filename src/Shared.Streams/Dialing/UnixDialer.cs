using System.Net.Sockets;
using Shared.Streams.Sockets;

namespace Shared.Streams.Dialing;

/// <summary>Dials one Unix socket. Safe for concurrent use.</summary>
/// <param name="path">The socket's path.</param>
/// <param name="timeout">The limit of one attempt; a full backlog makes it wait.</param>
/// <param name="time">The clock of that limit.</param>
public sealed class UnixDialer(string path, TimeSpan timeout, TimeProvider time) : IDialer
{
    /// <inheritdoc/>
    public async ValueTask<DuplexStream> DialAsync(CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(timeout, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, deadline.Token);
        try
        {
            return await ConnectAsync(limit.Token);
        }
        catch (SocketException exception)
        {
            throw Failure(exception);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new DialException(Hop.Connect, "timeout", $"The socket {path} took no connection within {timeout.TotalSeconds:0.#} s.", exception);
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"unix://{path}";

    private async Task<SocketStream> ConnectAsync(CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
            return SocketStream.Over(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private DialException Failure(SocketException exception) => exception.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => new DialException(
            Hop.Connect, "connection-refused", $"Nothing listens on the socket {path}.", exception),
        SocketError.AccessDenied => new DialException(
            Hop.Connect, "permission-denied", $"This user may not open the socket {path}.", exception),
        _ when !File.Exists(path) => new DialException(
            Hop.Connect, "no-such-socket", $"There is no socket {path}.", exception),
        _ => new DialException(
            Hop.Connect, "unreachable", $"No connection to the socket {path}: {exception.Message}.", exception),
    };
}
