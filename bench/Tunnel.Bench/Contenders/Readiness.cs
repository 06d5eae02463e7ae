using System.Net;
using System.Net.Sockets;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Contenders;

/// <summary>Waits until something that was started really works.</summary>
internal static class Readiness
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan AttemptPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    public static Task WaitForListenerAsync(EndPoint endPoint, IReadOnlyList<Daemon> daemons, CancellationToken cancellationToken) =>
        RetryAsync($"nobody listens on {endPoint}", daemons, async token => (await SocketExactly.ConnectAsync(endPoint, token)).Dispose(), cancellationToken);

    /// <summary>Until one byte made the whole way to the raw target and back.</summary>
    public static Task WaitForEchoAsync(EndPoint endPoint, IReadOnlyList<Daemon> daemons, CancellationToken cancellationToken) =>
        RetryAsync(
            $"the way through {endPoint} does not work", daemons,
            async token =>
            {
                using var socket = await SocketExactly.ConnectAsync(endPoint, token);
                await socket.SendExactlyAsync(new[] { RawTarget.Echo, (byte)'?' }, token);
                await socket.ReceiveExactlyAsync(new byte[1], token);
            },
            cancellationToken);

    /// <summary>Until so many connectors are registered at an ingress.</summary>
    public static async Task WaitForConnectorsAsync(IPEndPoint management, int count, IReadOnlyList<Daemon> daemons, CancellationToken cancellationToken)
    {
        using var client = new HttpClient();
        await RetryAsync(
            $"{count} connector(s) are not registered", daemons,
            async token =>
            {
                var metrics = await client.GetStringAsync(new Uri($"http://{management}/metrics"), token);
                if (!metrics.Split('\n').Any(line => line.StartsWith("tunnel_ingress_connectors{", StringComparison.Ordinal) && line.EndsWith($" {count}", StringComparison.Ordinal)))
                {
                    throw new EndOfStreamException("not yet");
                }
            },
            cancellationToken);
    }

    private static async Task RetryAsync(
        string problem, IReadOnlyList<Daemon> daemons, Func<CancellationToken, Task> attempt, CancellationToken cancellationToken)
    {
        using var all = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        all.CancelAfter(Patience);
        while (true)
        {
            foreach (var daemon in daemons)
            {
                daemon.ThrowIfEnded();
            }

            using var one = CancellationTokenSource.CreateLinkedTokenSource(all.Token);
            one.CancelAfter(AttemptPatience);
            try
            {
                await attempt(one.Token);
                return;
            }
            catch (Exception exception) when (exception is SocketException or EndOfStreamException or HttpRequestException || (exception is OperationCanceledException && !all.IsCancellationRequested))
            {
                await Task.WhenAny(Task.Delay(Pause, all.Token));
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw new TimeoutException($"{problem}, {Patience.TotalSeconds:0} s after its start");
            }
        }
    }
}
