using System.Net;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Http;

/// <summary>Debian's nginx with a page of 1 KiB, plain and with TLS.</summary>
internal sealed class WebServer : IAsyncDisposable
{
    private const int PageSize = 1024;

    // sbin is not in every user's PATH.
    private static readonly string[] Places = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];

    private static readonly string[] ScratchKinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

    private readonly Daemon _daemon;

    private WebServer(Daemon daemon, IPEndPoint plain, IPEndPoint tls)
    {
        (_daemon, Plain, Tls) = (daemon, plain, tls);
    }

    public IPEndPoint Plain { get; }

    public IPEndPoint Tls { get; }

    public static async Task<WebServer> StartAsync(BenchRun run, CancellationToken cancellationToken)
    {
        var directory = run.DirectoryFor("nginx");
        var (plain, tls) = (FreePort.Next(), FreePort.Next());
        var file = Path.Combine(directory, "nginx.conf");
        var scratch = string.Concat(ScratchKinds.Select(kind => $"  {kind}_temp_path {directory}/{kind};\n"));

        // Requests of a connection without a limit, because the benchmark's connections live as long as a measurement.
        await File.WriteAllTextAsync(
            file,
            $$"""
            daemon off;
            pid {{directory}}/pid;
            error_log stderr;
            worker_processes auto;
            events { }
            http {
            {{scratch}}
              access_log off;
              keepalive_requests 100000000;
              server {
                listen {{plain}};
                listen {{tls}} ssl;
                ssl_certificate {{run.Certificate.File}};
                ssl_certificate_key {{run.Certificate.KeyFile}};
                location / { return 200 "{{new string('x', PageSize)}}"; }
              }
            }

            """,
            cancellationToken);
        var program = Places.FirstOrDefault(File.Exists) ?? throw new InvalidOperationException("nginx is not installed; 'scripts/install bench' installs it");
        var daemon = new Daemon(program, ["-p", directory, "-e", "stderr", "-c", file], stopSignal: "QUIT");
        try
        {
            await Readiness.WaitForListenerAsync(plain, [daemon], cancellationToken);
            return new WebServer(daemon, plain, tls);
        }
        catch
        {
            await daemon.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _daemon.DisposeAsync();
}
