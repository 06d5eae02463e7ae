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

    /// <summary>For the web server to take.</summary>
    private const int MaxWaiting = 512;

    private static readonly TimeSpan FirstBytesTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(1);

    private readonly StreamListener _listener;
    private readonly SocketConnectionContextFactory _connections;
    private readonly CarrierDoor? _door;
    private readonly TimeProvider _time;
    private readonly byte[] _protocol = System.Text.Encoding.ASCII.GetBytes(TunnelProtocol.CarrierApplicationProtocol);
    private readonly Channel<ConnectionContext> _accepted = Channel.CreateBounded<ConnectionContext>(MaxWaiting);
    private readonly CancellationTokenSource _unbound = new();

    public PublicListener(
        StreamListener listener, EndPoint endPoint, SocketConnectionContextFactory connections, CarrierDoor? door, AcceptBudget budget, TimeProvider time,
        ILogger<PublicListener> logger)
    {
        (_listener, _connections, _door, _time) = (listener, connections, door, time);
        EndPoint = endPoint;

        // Nobody waits for its end: the web server ends its connections after this has been unbound, and carriers end by themselves.
        _ = AcceptLoop.RunAsync(listener, budget, SortAsync, exception => logger.AcceptFailed(exception, endPoint.ToString()!), time, _unbound.Token);
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
        await _unbound.CancelAsync();
        await _listener.DisposeAsync();
        _accepted.Writer.TryComplete();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await UnbindAsync();
        _unbound.Dispose();
        _connections.Dispose();
    }

    private async Task SortAsync(AcceptedConnection accepted, CancellationToken unbound)
    {
        try
        {
            using var deadline = new CancellationTokenSource(FirstBytesTimeout, _time);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, unbound);
            if (_door is not null && await ReadHelloAsync(accepted.Stream, limit.Token) == Hello.OffersProtocol)
            {
                await _door.ServeAsync(accepted);
                return;
            }
        }
        catch (Exception exception) when (exception is SocketException or IOException or OperationCanceledException)
        {
            // It was closed before it said anything, or says nothing: nobody waits for an answer.
            accepted.Stream.Close();
            return;
        }

        await PassOnAsync(accepted.Stream.Detach(), accepted.Place, unbound);
    }

    /// <summary>Gives a connection to the web server, and waits until that has done with it.</summary>
    private async Task PassOnAsync(Socket socket, AcceptPlace place, CancellationToken unbound)
    {
        ConnectionContext connection;
        try
        {
            connection = _connections.Create(socket);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // It had to make room while it changed hands.
            socket.Dispose();
            return;
        }

        connection.Features.Set(place);
        try
        {
            if (place.TryHandOver(connection.Abort))
            {
                await _accepted.Writer.WriteAsync(connection, unbound);
                await place.Left;
                return;
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or ChannelClosedException)
        {
            // The web server takes no more.
        }

        connection.Abort();
        await connection.DisposeAsync();
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
