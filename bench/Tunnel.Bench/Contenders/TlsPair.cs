using System.Net;
using Tunnel.Bench.Distance;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Contenders;

/// <summary>
/// Two instances of a peer that wrap a TCP connection in TLS, one for each side: client → near ═ TLS ═ far → target. Each stream has
/// a TLS connection of its own. The near one verifies the far one's certificate.
/// </summary>
internal sealed class TlsPair : IAsyncDisposable
{
    private readonly Daemon _near;
    private readonly Daemon _far;

    private TlsPair(Daemon near, Daemon far, Contender contender)
    {
        (_near, _far, Contender) = (near, far, contender);
    }

    public Contender Contender { get; }

    /// <param name="name">The contender's name.</param>
    /// <param name="ports">Where everything listens.</param>
    /// <param name="startNear">Starts the application's side.</param>
    /// <param name="startFar">Starts the target's side.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<TlsPair> StartAsync(
        string name, TlsPairPorts ports, Func<Daemon> startNear, Func<Daemon> startFar, CancellationToken cancellationToken)
    {
        var far = startFar();
        Daemon? near = null;
        try
        {
            await Readiness.WaitForListenerAsync(ports.FarRaw, [far], cancellationToken);
            near = startNear();
            await Readiness.WaitForEchoAsync(ports.NearRaw, [near, far], cancellationToken);
            await Readiness.WaitForListenerAsync(ports.NearPostgres, [near, far], cancellationToken);
            var program = name.Split(' ')[0];
            return new TlsPair(near, far, new Contender(
                name, $"client → {program} → TLS → {program} → target; a TLS connection for each stream", ports.NearPostgres, ports.NearRaw,
                [new WatchedProcess($"near {program}", near.Id), new WatchedProcess($"far {program}", far.Id)]));
        }
        catch
        {
            if (near is not null)
            {
                await near.DisposeAsync();
            }

            await far.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _near.DisposeAsync();
        await _far.DisposeAsync();
    }
}

/// <summary>Where a <see cref="TlsPair"/> listens and connects.</summary>
/// <param name="NearPostgres">Where clients of the database connect.</param>
/// <param name="NearRaw">Where clients of the raw target connect.</param>
/// <param name="FarPostgres">Where the far side listens for the database.</param>
/// <param name="FarRaw">Where the far side listens for the raw target.</param>
/// <param name="AcrossPostgres">Where the near side connects for the database: the far side, or a distance that leads there.</param>
/// <param name="AcrossRaw">Where the near side connects for the raw target.</param>
internal sealed record TlsPairPorts(
    IPEndPoint NearPostgres, IPEndPoint NearRaw, IPEndPoint FarPostgres, IPEndPoint FarRaw, IPEndPoint AcrossPostgres, IPEndPoint AcrossRaw)
{
    public static TlsPairPorts Next(Link link)
    {
        var (farPostgres, farRaw) = (FreePort.Next(), FreePort.Next());
        return new TlsPairPorts(FreePort.Next(), FreePort.Next(), farPostgres, farRaw, link.Across(farPostgres), link.Across(farRaw));
    }
}
