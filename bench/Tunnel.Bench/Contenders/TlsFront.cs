using System.Net;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Contenders;

/// <summary>Debian's HAProxy before an ingress, as in front of any web server: it ends the TLS session and forwards requests, HTTP/1.1 or HTTP/2.</summary>
internal static class TlsFront
{
    /// <summary>Starts it; who verifies its certificate needs the run's.</summary>
    public static async Task<Daemon> StartAsync(BenchRun run, string directory, IPEndPoint listen, IPEndPoint ingress, CancellationToken cancellationToken)
    {
        var both = await run.Certificate.WriteWithKeyAsync(directory, cancellationToken);
        return Haproxy.Start(await Haproxy.ConfigureAsync(
            directory, "front.cfg", "http",
            $"""
            listen ingress
              bind {listen} ssl crt {both} ssl-min-ver TLSv1.3 alpn h2,http/1.1
              server ingress {ingress}

            """,
            cancellationToken));
    }
}
