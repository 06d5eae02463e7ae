using System.Net;
using System.Net.Sockets;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Measures;

/// <summary>
/// How much the resident memory of the processes on the way grows with each stream that is open and idle after 1 KiB went
/// each way. Measured on processes that did nothing else before, because a heap that has grown under load hides the growth.
/// </summary>
internal static class IdleMemory
{
    // Open before the first reading, so that code and pools are already in memory.
    private const int WarmUpStreams = 100;
    private const int OpenAtOnce = 16;

    private static readonly TimeSpan Settle = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <returns>KiB per stream, by process.</returns>
    public static async Task<IReadOnlyDictionary<string, double>> MeasureAsync(Contender contender, int streams, CancellationToken cancellationToken)
    {
        var open = new List<Socket>();
        try
        {
            await OpenAsync(open, contender.Raw, WarmUpStreams, cancellationToken);
            await Task.Delay(Settle, cancellationToken);
            var before = contender.Processes.ToDictionary(process => process.Name, ProcessUsage.ResidentKiB);
            await OpenAsync(open, contender.Raw, streams, cancellationToken);
            await Task.Delay(Settle, cancellationToken);
            return contender.Processes.ToDictionary(process => process.Name, process => (ProcessUsage.ResidentKiB(process) - before[process.Name]) / streams);
        }
        finally
        {
            open.ForEach(socket => socket.Dispose());
        }
    }

    private static async Task OpenAsync(List<Socket> open, EndPoint endPoint, int count, CancellationToken cancellationToken)
    {
        foreach (var batch in Enumerable.Range(0, count).Chunk(OpenAtOnce))
        {
            open.AddRange(await Task.WhenAll(batch.Select(_ => OpenOneAsync(endPoint, cancellationToken))));
        }
    }

    private static async Task<Socket> OpenOneAsync(EndPoint endPoint, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        var socket = await SocketExactly.ConnectAsync(endPoint, limit.Token);
        try
        {
            var message = new byte[1024];
            await socket.SendExactlyAsync(new[] { RawTarget.Echo }, limit.Token);
            await socket.SendExactlyAsync(message, limit.Token);
            await socket.ReceiveExactlyAsync(message, limit.Token);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
