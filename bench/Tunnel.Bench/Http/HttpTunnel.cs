using System.Net;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Http;

/// <summary>A tunnel to a web server: by its HTTP hostname, and by a TCP listener of the ingress that passes bytes.</summary>
internal sealed class HttpTunnel : IAsyncDisposable
{
    /// <summary>The HTTP hostname: wrk takes the server's name for TLS from the address, so it must be one that every machine resolves.</summary>
    private const string Hostname = "localhost";

    private const string BytesHostname = "bytes.bench.localhost";

    private readonly Daemon _ingress;
    private readonly Daemon? _connector;
    private readonly IPEndPoint _https;

    private HttpTunnel(Daemon ingress, Daemon? connector, IPEndPoint https, IPEndPoint bytes)
    {
        (_ingress, _connector, _https, Bytes) = (ingress, connector, https, bytes);
    }

    /// <summary>Gets the address by the HTTP hostname.</summary>
    public Uri Address => new($"https://{Hostname}:{_https.Port}/");

    /// <summary>Gets where it passes bytes.</summary>
    public IPEndPoint Bytes { get; }

    public IReadOnlyList<WatchedProcess> Processes => [new("ingress", _ingress.Id), new("connector", _connector!.Id)];

    public static async Task<HttpTunnel> StartAsync(BenchRun run, IPEndPoint server, CancellationToken cancellationToken)
    {
        var state = await TunnelState.CreateAsync(run, run.DirectoryFor("http"), cancellationToken);
        await state.AdministerAsync(
            run.Programs,
            [
                ["service", "add", "web", "--hostname", Hostname, "--tunnel", "bench", "--protocol", "http", "--access", "public"],
                ["service", "add", "bytes", "--hostname", BytesHostname, "--tunnel", "bench"],
            ],
            cancellationToken);
        var (https, bytes, management) = (FreePort.Next(), FreePort.Next(), FreePort.Next());
        var ingress = new Daemon(
            run.Programs.Ingress,
            ["run", "--state", state.Directory, "--listen", $"{https}", "--dev-certificate", "--management", $"{management}", "--local", $"bytes={bytes}"]);
        Daemon? connector = null;
        try
        {
            await Readiness.WaitForListenerAsync(https, [ingress], cancellationToken);
            connector = new Daemon(
                run.Programs.Connector,
                [.. state.ConnectorArguments(https, run.Database.TcpEndPoint, run.Raw.TcpEndPoint), "--service", $"web=http://{server}", "--service", $"bytes=tcp://{server}"]);
            await Readiness.WaitForConnectorsAsync(management, 1, [ingress, connector], cancellationToken);
            return new HttpTunnel(ingress, connector, https, bytes);
        }
        catch
        {
            await new HttpTunnel(ingress, connector, https, bytes).DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_connector is not null)
        {
            await _connector.DisposeAsync();
        }

        await _ingress.DisposeAsync();
    }
}
