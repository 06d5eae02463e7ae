using System.Net;
using System.Net.Sockets;
using Tunnel.Bench.Contenders;

namespace Tunnel.Bench.Measures;

/// <summary>Streams to the raw target that are open at the same time.</summary>
internal sealed class OpenStreams : IDisposable
{
    private const int OpenAtOnce = 16;

    private readonly List<Socket> _sockets = [];

    public IReadOnlyList<Socket> Sockets => _sockets;

    /// <param name="endPoint">Where to connect.</param>
    /// <param name="count">How many.</param>
    /// <param name="first">What each of them says first.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<OpenStreams> OpenAsync(EndPoint endPoint, int count, ReadOnlyMemory<byte> first, CancellationToken cancellationToken)
    {
        var open = new OpenStreams();
        try
        {
            foreach (var batch in Enumerable.Range(0, count).Chunk(OpenAtOnce))
            {
                open._sockets.AddRange(await Task.WhenAll(batch.Select(_ => SocketExactly.ConnectAsync(endPoint, cancellationToken))));
            }

            foreach (var socket in open._sockets)
            {
                await socket.SendExactlyAsync(first, cancellationToken);
            }

            return open;
        }
        catch
        {
            open.Dispose();
            throw;
        }
    }

    public void Dispose() => _sockets.ForEach(socket => socket.Dispose());
}
