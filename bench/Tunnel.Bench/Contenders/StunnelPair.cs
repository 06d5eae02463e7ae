using System.Net;
using Tunnel.Bench.Distance;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Contenders;

/// <summary>Debian's stunnel with its default settings: a thread for each stream, TLS 1.3, session resumption.</summary>
internal static class StunnelPair
{
    public const string Name = "stunnel pair";

    public static async Task<TlsPair> StartAsync(BenchRun run, string directoryName, Link link, CancellationToken cancellationToken)
    {
        var directory = run.DirectoryFor(directoryName);
        var ports = TlsPairPorts.Next(link);
        var certificate = run.Certificate;
        var near = await WriteAsync(
            directory, "near.conf",
            Service("postgres", ports.NearPostgres, ports.AcrossPostgres, Client(certificate)) + Service("raw", ports.NearRaw, ports.AcrossRaw, Client(certificate)),
            cancellationToken);
        var far = await WriteAsync(
            directory, "far.conf",
            Service("postgres", ports.FarPostgres, run.Database.TcpEndPoint, Server(certificate)) + Service("raw", ports.FarRaw, run.Raw.TcpEndPoint, Server(certificate)),
            cancellationToken);
        return await TlsPair.StartAsync(Name, ports, () => new Daemon("stunnel4", [near]), () => new Daemon("stunnel4", [far]), cancellationToken);
    }

    private static async Task<string> WriteAsync(string directory, string name, string services, CancellationToken cancellationToken)
    {
        var file = Path.Combine(directory, name);
        await File.WriteAllTextAsync(file, $"foreground = yes\npid =\nsyslog = no\nsslVersionMin = TLSv1.3\n{services}", cancellationToken);
        return file;
    }

    private static string Service(string name, IPEndPoint accept, IPEndPoint connect, string rest) =>
        $"[{name}]\naccept = {accept}\nconnect = {connect}\n{rest}";

    private static string Client(Certificate certificate) => $"client = yes\nCAfile = {certificate.File}\nverifyChain = yes\ncheckHost = localhost\n";

    private static string Server(Certificate certificate) => $"cert = {certificate.File}\nkey = {certificate.KeyFile}\n";
}
