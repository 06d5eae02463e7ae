using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Tunnel.Bench.Contenders;

namespace Tunnel.Bench.Measures;

/// <summary>Bytes that one stream carried, each of them counted at the other end, and the time until the last one was there.</summary>
internal sealed record BulkResult(long Bytes, TimeSpan Elapsed)
{
    public double MebibytesPerSecond => Bytes / Elapsed.TotalSeconds / (1024 * 1024);
}

/// <summary>Fills one stream in one direction for a while, raw bytes over TCP to the raw target.</summary>
internal static class BulkTransfer
{
    private const int ChunkSize = 256 * 1024;

    // Nothing that compresses.
    private static readonly byte[] Chunk = RandomNumberGenerator.GetBytes(ChunkSize);

    // A stall must fail the run instead of hanging it.
    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(60);

    public static async Task<BulkResult> UploadAsync(EndPoint endPoint, int seconds, CancellationToken cancellationToken)
    {
        using var limit = Limit(seconds, cancellationToken);
        using var socket = await SocketExactly.ConnectAsync(endPoint, limit.Token);
        await socket.SendExactlyAsync(new[] { RawTarget.Upload }, limit.Token);
        return await FillAsync(socket, TimeSpan.FromSeconds(seconds), limit.Token);
    }

    /// <summary>Fills many streams at once; the clock starts when all are open.</summary>
    public static async Task<BulkResult> UploadManyAsync(EndPoint endPoint, int streams, int seconds, CancellationToken cancellationToken)
    {
        using var limit = Limit(seconds, cancellationToken);
        using var open = await OpenStreams.OpenAsync(endPoint, streams, new[] { RawTarget.Upload }, limit.Token);
        var watch = Stopwatch.StartNew();
        var results = await Task.WhenAll(open.Sockets.Select(socket => Task.Run(() => FillAsync(socket, TimeSpan.FromSeconds(seconds), limit.Token), limit.Token)));
        return new BulkResult(results.Sum(result => result.Bytes), watch.Elapsed);
    }

    public static async Task<BulkResult> DownloadAsync(EndPoint endPoint, int seconds, CancellationToken cancellationToken)
    {
        using var limit = Limit(seconds, cancellationToken);
        using var socket = await SocketExactly.ConnectAsync(endPoint, limit.Token);
        var watch = Stopwatch.StartNew();
        await socket.SendExactlyAsync(new[] { RawTarget.Download, (byte)seconds }, limit.Token);
        var buffer = new byte[ChunkSize];
        var lastBytes = new byte[sizeof(long)];
        long received = 0;
        int read;
        while ((read = await socket.ReceiveAsync(buffer, limit.Token)) > 0)
        {
            received += read;
            KeepLast(lastBytes, buffer.AsSpan(0, read));
        }

        return Verified(BinaryPrimitives.ReadInt64BigEndian(lastBytes), received - lastBytes.Length, watch.Elapsed);
    }

    private static async Task<BulkResult> FillAsync(Socket socket, TimeSpan duration, CancellationToken cancellationToken)
    {
        long sent = 0;
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed < duration)
        {
            await socket.SendExactlyAsync(Chunk, cancellationToken);
            sent += Chunk.Length;
        }

        // What is still on the way counts: the clock stops when the target has told how much arrived.
        socket.Shutdown(SocketShutdown.Send);
        var answer = new byte[sizeof(long)];
        await socket.ReceiveExactlyAsync(answer, cancellationToken);
        return Verified(sent, BinaryPrimitives.ReadInt64BigEndian(answer), watch.Elapsed);
    }

    private static void KeepLast(Span<byte> last, ReadOnlySpan<byte> arrived)
    {
        if (arrived.Length >= last.Length)
        {
            arrived[^last.Length..].CopyTo(last);
            return;
        }

        last[arrived.Length..].CopyTo(last);
        arrived.CopyTo(last[^arrived.Length..]);
    }

    private static BulkResult Verified(long sent, long arrived, TimeSpan elapsed) =>
        sent == arrived
            ? new BulkResult(sent, elapsed)
            : throw new InvalidOperationException($"{sent} bytes were sent and {arrived} arrived");

    private static CancellationTokenSource Limit(int seconds, CancellationToken cancellationToken)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(seconds) + Slack);
        return limit;
    }
}
