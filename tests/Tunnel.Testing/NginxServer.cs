using System.Net.Sockets;

namespace Tunnel.Testing;

/// <summary>
/// A throw-away nginx in the foreground, on a Unix socket and on a loopback port, from a directory of its own. Files under
/// <c>www/</c> are served; uploads (PUT) land in <c>uploads/</c>; <c>/small/</c> takes no body over 10 MB.
/// </summary>
public sealed class NginxServer : IAsyncDisposable
{
    private readonly string _directory;
    private ProgramProcess? _server;

    private NginxServer(string directory)
    {
        _directory = directory;
    }

    /// <summary>The socket.</summary>
    public string SocketPath => Path.Combine(_directory, "nginx.sock");

    /// <summary>The loopback port.</summary>
    public int Port { get; private set; }

    /// <summary>What it serves.</summary>
    public string Root => Path.Combine(_directory, "www");

    /// <summary>Where uploads land.</summary>
    public string Uploads => Path.Combine(_directory, "uploads");

    /// <summary>Starts it and waits until it answers.</summary>
    public static async Task<NginxServer> StartAsync()
    {
        var server = new NginxServer(Directory.CreateTempSubdirectory("nginx-").FullName);
        foreach (var name in new[] { "www", "uploads", "temp" })
        {
            Directory.CreateDirectory(Path.Combine(server._directory, name));
        }

        // A body that is put together by the server has no length, so it goes in chunks.
        await File.WriteAllTextAsync(Path.Combine(server._directory, "body.txt"), "bo<!--# echo var=\"nothing\" default=\"dy\" -->");
        server.Port = LoopbackPort.Choose();
        var configuration = Path.Combine(server._directory, "nginx.conf");
        await File.WriteAllTextAsync(configuration, server.Configuration());
        server._server = ProgramProcess.Start(Program(), ["-e", "stderr", "-p", server._directory, "-c", configuration]);
        await server.WaitAsync();
        return server;
    }

    /// <summary>Everything it has logged.</summary>
    public string Log => _server?.Output ?? "";

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }

        Directory.Delete(_directory, recursive: true);
    }

    // Debian has it in sbin, which a user's PATH often lacks.
    private static string Program() => File.Exists("/usr/sbin/nginx") ? "/usr/sbin/nginx" : "nginx";

    // One worker as the user we are: what it makes is ours to delete.
    private string Configuration() => $$"""
        daemon off;
        master_process off;
        pid {{_directory}}/nginx.pid;
        error_log stderr warn;
        events { worker_connections 512; }
        http {
          types { text/html html; text/css css; application/javascript js; image/svg+xml svg; }
          default_type application/octet-stream;
          access_log off;
          sendfile on;
          tcp_nodelay on;
          client_body_temp_path {{_directory}}/temp/body;
          proxy_temp_path {{_directory}}/temp/proxy;
          fastcgi_temp_path {{_directory}}/temp/fastcgi;
          uwsgi_temp_path {{_directory}}/temp/uwsgi;
          scgi_temp_path {{_directory}}/temp/scgi;
          server {
            listen 127.0.0.1:{{Port}};
            listen unix:{{SocketPath}};
            root {{Root}};
            client_max_body_size 0;
            gzip on;
            gzip_min_length 100;
            gzip_types text/css application/javascript;
            location /uploads/ { root {{_directory}}; dav_methods PUT; }
            location /small/ { root {{_directory}}; dav_methods PUT; client_max_body_size 10m; }
            location = /trailers/x.css { types { } default_type text/plain; alias {{_directory}}/body.txt; ssi on; ssi_types text/plain; add_trailer X-Checksum 4711; }
            location = /seen { default_type text/plain; return 200 "$host|$http_x_forwarded_for|$http_x_forwarded_proto|$http_x_forwarded_host|$http_cf_access_client_id$http_cf_access_client_secret|$request_uri"; }
          }
        }
        """;

    private async Task WaitAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath), limit.Token);
                return;
            }
            catch (SocketException)
            {
                await Task.Delay(20, limit.Token);
            }
        }
    }
}
