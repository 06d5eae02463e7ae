using System.Net;
using System.Text.Json;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Pooling;

/// <summary>`tunnel-pooler run` with its default settings and log, one pool and its users.</summary>
internal sealed class TunnelPooler : IAsyncDisposable
{
    public const string Name = "tunnel-pooler";

    private readonly Daemon _daemon;

    private TunnelPooler(Daemon daemon, IPEndPoint address)
    {
        _daemon = daemon;
        Address = address;
    }

    public IPEndPoint Address { get; }

    public WatchedProcess Process => new(Name, _daemon.Id);

    /// <summary>Gets the keys of a pool whose database is reached by TCP.</summary>
    public static Dictionary<string, object> TcpOrigin(IPEndPoint database, bool tls) =>
        new() { ["Origin"] = $"tcp://{database}", ["Tls"] = tls ? "require" : "disable" };

    /// <summary>Gets the keys of a pool whose database is reached through a tunnel; the ingress is reached by another address.</summary>
    public static Dictionary<string, object> TunnelOrigin(TunnelChain chain, IPEndPoint ingress) => new()
    {
        ["Origin"] = $"tunnel://{TunnelChain.PostgresHost}:{chain.Ingress.Port}",
        ["ConnectTo"] = $"{ingress}",
        ["IngressCaFile"] = chain.Authority,
        ["Token"] = new { File = chain.AccessToken },
        ["Tls"] = "require",
    };

    /// <summary>Starts it; with a certificate, its clients use TLS.</summary>
    public static async Task<TunnelPooler> StartAsync(
        Programs programs, string directory, PooledLogin login, Dictionary<string, object> origin, Certificate? certificate, CancellationToken cancellationToken)
    {
        var address = FreePort.Next();
        var file = Path.Combine(directory, "pooler.json");
        var configuration = new Dictionary<string, object>
        {
            ["Listen"] = new[] { $"{address}" },
            ["Users"] = login.All.ToDictionary(known => known.User, known => new { known.Verifier }),
            ["Pools"] = new Dictionary<string, object>
            {
                [Database.Name] = new Dictionary<string, object>(origin) { ["User"] = login.User, ["Password"] = login.Password, ["Max"] = PgBouncer.PoolSize },
            },
        };
        if (certificate is not null)
        {
            configuration["Tls"] = new { Certificate = certificate.File, Key = certificate.KeyFile, Required = true };
        }

        await File.WriteAllTextAsync(file, JsonSerializer.Serialize(configuration), cancellationToken);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var daemon = new Daemon(programs.Pooler, ["run", "--config", file]);
        try
        {
            await Readiness.WaitForListenerAsync(address, [daemon], cancellationToken);
            return new TunnelPooler(daemon, address);
        }
        catch
        {
            await daemon.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _daemon.DisposeAsync();
}
