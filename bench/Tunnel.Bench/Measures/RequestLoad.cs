using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Tunnel.Bench.Contenders;

namespace Tunnel.Bench.Measures;

/// <summary>How many requests were answered, and in which time.</summary>
internal sealed record RequestResult(long Requests, TimeSpan Elapsed)
{
    public double PerSecond => Requests / Elapsed.TotalSeconds;
}

/// <summary>Small requests, each of them answered with as many bytes before its stream sends the next one.</summary>
internal static class RequestLoad
{
    private const int RequestSize = 100;

    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(60);

    public static async Task<RequestResult> RunAsync(EndPoint endPoint, int streams, TimeSpan duration, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(duration + Slack);
        using var open = await OpenStreams.OpenAsync(endPoint, streams, new[] { RawTarget.Echo }, limit.Token);

        // The first request of each is not counted: it waits for the stream to be open all the way.
        await Task.WhenAll(open.Sockets.Select(socket => AskAsync(socket, new byte[RequestSize], limit.Token)));
        var watch = Stopwatch.StartNew();
        var counts = await Task.WhenAll(open.Sockets.Select(socket => Task.Run(() => AskAgainAsync(socket), limit.Token)));
        return new RequestResult(counts.Sum(), watch.Elapsed);

        async Task<long> AskAgainAsync(Socket socket)
        {
            var request = new byte[RequestSize];
            long count = 0;
            do
            {
                await AskAsync(socket, request, limit.Token);
                count++;
            }
            while (watch.Elapsed < duration);
            return count;
        }
    }

    private static async Task AskAsync(Socket socket, byte[] request, CancellationToken cancellationToken)
    {
        await socket.SendExactlyAsync(request, cancellationToken);
        await socket.ReceiveExactlyAsync(request, cancellationToken);
    }
}
