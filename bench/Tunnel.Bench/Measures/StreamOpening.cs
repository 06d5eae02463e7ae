using System.Diagnostics;
using System.Net;
using Tunnel.Bench.Contenders;

namespace Tunnel.Bench.Measures;

/// <summary>What opening streams one at a time took, medians in microseconds.</summary>
/// <param name="Connected">Until the client's connection was accepted, which says little: by the next process, not by the target.</param>
/// <param name="Echoed">Until the first byte was back from the target.</param>
internal sealed record OpeningTimes(double Connected, double Echoed);

/// <summary>How many streams were opened, echoed on and closed, and in which time.</summary>
internal sealed record OpeningRate(int Streams, TimeSpan Elapsed)
{
    public double PerSecond => Streams / Elapsed.TotalSeconds;
}

/// <summary>Opens streams to the raw target, sends one byte, waits for its echo and closes: one at a time, or many at once for a rate.</summary>
internal static class StreamOpening
{
    private const int AtOnce = 16;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly byte[] EchoRequest = [RawTarget.Echo, (byte)'?'];

    public static Task<OpeningTimes> OneAtATimeAsync(EndPoint endPoint, TimeSpan duration, CancellationToken cancellationToken) =>

        // A thread that blocks, because an asynchronous client's own threads would be a good part of what is measured.
        Task.Factory.StartNew(() => OneAtATime(endPoint, duration, cancellationToken), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    public static async Task<OpeningRate> SustainedAsync(EndPoint endPoint, TimeSpan duration, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(duration + Patience);
        var watch = Stopwatch.StartNew();
        var counts = await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(_ => Task.Run(OpenAsync, limit.Token)));
        return new OpeningRate(counts.Sum(), watch.Elapsed);

        async Task<int> OpenAsync()
        {
            var (count, answer) = (0, new byte[1]);
            while (watch.Elapsed < duration)
            {
                using var socket = await SocketExactly.ConnectAsync(endPoint, limit.Token);
                await socket.SendExactlyAsync(EchoRequest, limit.Token);
                await socket.ReceiveExactlyAsync(answer, limit.Token);
                count++;
            }

            return count;
        }
    }

    private static OpeningTimes OneAtATime(EndPoint endPoint, TimeSpan duration, CancellationToken cancellationToken)
    {
        var (connected, echoed) = (new List<double>(), new List<double>());
        var answer = new byte[1];
        var watch = Stopwatch.StartNew();
        do
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var socket = SocketExactly.Create(endPoint);
            socket.ReceiveTimeout = socket.SendTimeout = (int)Patience.TotalMilliseconds;
            var begin = Stopwatch.GetTimestamp();
            socket.Connect(endPoint);
            connected.Add(Stopwatch.GetElapsedTime(begin).TotalMicroseconds);
            socket.Send(EchoRequest);
            if (socket.Receive(answer) == 0)
            {
                throw new EndOfStreamException("the stream ended before the first byte was back");
            }

            echoed.Add(Stopwatch.GetElapsedTime(begin).TotalMicroseconds);
        }
        while (watch.Elapsed < duration);
        return new OpeningTimes(Median(connected), Median(echoed));
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }
}
