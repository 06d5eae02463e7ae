using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Shared.Streams.Protocol;
using Shared.Streams.Sockets;

namespace TunnelIngress.Carriers;

/// <summary>
/// Sorts the connections of one public address by the first bytes of each, which it looks at and leaves where they are: carriers to
/// <see cref="CarrierDoor"/>, everything else to the web server, which calls <see cref="AcceptAsync"/>.
/// </summary>
internal sealed class PublicListener : IConnectionListener
{
    /// <summary>A ClientHello that is larger is nobody's of ours.</summary>
    private const int MaxHello = 8 * 1024;

    private static readonly TimeSpan FirstBytesTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);

    private readonly Socket _socket;
    private readonly SocketConnectionContextFactory _connections;
    private readonly CarrierDoor _door;
    private readonly TimeProvider _time;
    private readonly ILogger<PublicListener> _logger;
    private readonly byte[] _protocol = System.Text.Encoding.ASCII.GetBytes(TunnelProtocol.CarrierApplicationProtocol);
    private readonly Channel<ConnectionContext> _accepted = Channel.CreateUnbounded<ConnectionContext>();
    private readonly CancellationTokenSource _unbound = new();
    private readonly Task _accepting;

    public PublicListener(Socket socket, SocketConnectionContextFactory connections, CarrierDoor door, TimeProvider time, ILogger<PublicListener> logger)
    {
        (_socket, _connections, _door, _time, _logger) = (socket, connections, door, time, logger);
        EndPoint = socket.LocalEndPoint!;
        _accepting = RunAsync();
    }

    /// <inheritdoc/>
    public EndPoint EndPoint { get; }

    /// <inheritdoc/>
    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (await _accepted.Reader.WaitToReadAsync(cancellationToken))
        {
            if (_accepted.Reader.TryRead(out var connection))
            {
                return connection;
            }
        }

        return null;
    }

    /// <inheritdoc/>
    public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        if (_accepting.IsCompleted)
        {
            return;
        }

        await _unbound.CancelAsync();
        _socket.Dispose();
        await _accepting;
        _accepted.Writer.TryComplete();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await UnbindAsync();
        _unbound.Dispose();
        _connections.Dispose();
    }

    private async Task RunAsync()
    {
        while (!_unbound.IsCancellationRequested)
        {
            try
            {
                _ = SortAsync(await _socket.AcceptAsync(_unbound.Token));
            }
            catch (SocketException exception)
            {
                _logger.AcceptFailed(exception, EndPoint.ToString()!);
                await Task.Delay(AcceptPause, _time, CancellationToken.None);
            }
            catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task SortAsync(Socket socket)
    {
        var stream = SocketStream.Over(socket);
        try
        {
            var remote = socket.RemoteEndPoint as IPEndPoint;
            using var deadline = new CancellationTokenSource(FirstBytesTimeout, _time);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, _unbound.Token);
            if (await ReadHelloAsync(stream, limit.Token) == Hello.OffersProtocol)
            {
                SocketTuning.Apply(socket);
                await _door.ServeAsync(stream, remote);
            }
            else
            {
                // As the web server's own listener does: its small answers do not wait for acknowledgements.
                socket.NoDelay = true;
                if (!_accepted.Writer.TryWrite(_connections.Create(stream.Detach())))
                {
                    socket.Dispose();
                }
            }
        }
        catch (Exception exception) when (exception is SocketException or IOException or OperationCanceledException)
        {
            // It was closed before it said anything, or says nothing: nobody waits for an answer.
            stream.Close();
        }
        catch (Exception exception)
        {
            stream.Close();
            _logger.AcceptFailed(exception, EndPoint.ToString()!);
        }
    }

    private async ValueTask<Hello> ReadHelloAsync(SocketStream stream, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(MaxHello);
        try
        {
            for (var pause = FirstPause; ; pause *= 2)
            {
                await stream.ReadAsync(Memory<byte>.Empty, cancellationToken);
                var count = stream.Peek(buffer.AsSpan(0, MaxHello));
                var hello = count == 0 ? Hello.Other : ClientHello.Read(buffer.AsSpan(0, count), _protocol);
                if (hello != Hello.Incomplete || count == MaxHello)
                {
                    return hello;
                }

                // What is there already would wake every wait for more; a hello of two segments is whole at the next look.
                await Task.Delay(pause, _time, cancellationToken);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
