using System.Net;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Startup;

/// <summary>An ingress that waits for a connector.</summary>
internal sealed class IngressAlone : IAsyncDisposable
{
    private readonly Daemon _daemon;

    private IngressAlone(Daemon daemon, IPEndPoint raw, string[] connectorArguments)
    {
        (_daemon, Raw, ConnectorArguments) = (daemon, raw, connectorArguments);
    }

    /// <summary>Gets the listener that leads to the raw target.</summary>
    public IPEndPoint Raw { get; }

    /// <summary>Gets the arguments of a connector that serves it.</summary>
    public string[] ConnectorArguments { get; }

    public static async Task<IngressAlone> StartAsync(BenchRun run, string name, CancellationToken cancellationToken)
    {
        var state = await TunnelState.CreateAsync(run, run.DirectoryFor(name), cancellationToken);
        var (listener, raw) = (FreePort.Next(), FreePort.Next());
        var daemon = new Daemon(
            run.Programs.Ingress,
            ["run", "--state", state.Directory, "--listen", $"{listener}", "--dev-certificate", "--management", $"{FreePort.Next()}", "--local", $"raw={raw}"]);
        try
        {
            await Readiness.WaitForListenerAsync(listener, [daemon], cancellationToken);
            return new IngressAlone(daemon, raw, state.ConnectorArguments(listener, run.Database.TcpEndPoint, run.Raw.TcpEndPoint));
        }
        catch
        {
            await daemon.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _daemon.DisposeAsync();
}
