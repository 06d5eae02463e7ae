using Tunnel.Bench.Distance;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Contenders;

/// <summary>Debian's HAProxy in TCP mode with its default settings: a thread for each processor, TLS 1.3, session resumption.</summary>
internal static class HaproxyPair
{
    public const string Name = "haproxy TLS pair";

    // sbin is not in every user's PATH.
    private static readonly string[] Places = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"];

    /// <summary>Gets where it is installed.</summary>
    /// <exception cref="InvalidOperationException">It is not.</exception>
    public static string Program =>
        Places.FirstOrDefault(File.Exists) ?? throw new InvalidOperationException("haproxy is not installed; 'scripts/install bench' installs it");

    public static async Task<TlsPair> StartAsync(BenchRun run, string directoryName, Link link, CancellationToken cancellationToken)
    {
        var directory = run.DirectoryFor(directoryName);
        var ports = TlsPairPorts.Next(link);

        var both = await run.Certificate.WriteWithKeyAsync(directory, cancellationToken);
        var verified = $"ssl ssl-min-ver TLSv1.3 verify required verifyhost localhost ca-file {run.Certificate.File}";
        var near = await WriteAsync(
            directory, "near.cfg",
            $"""
            listen postgres
              bind {ports.NearPostgres}
              server far {ports.AcrossPostgres} {verified}
            listen raw
              bind {ports.NearRaw}
              server far {ports.AcrossRaw} {verified}

            """,
            cancellationToken);
        var far = await WriteAsync(
            directory, "far.cfg",
            $"""
            listen postgres
              bind {ports.FarPostgres} ssl crt {both} ssl-min-ver TLSv1.3
              server target {run.Database.TcpEndPoint}
            listen raw
              bind {ports.FarRaw} ssl crt {both} ssl-min-ver TLSv1.3
              server target {run.Raw.TcpEndPoint}

            """,
            cancellationToken);
        return await TlsPair.StartAsync(
            Name, ports, () => new Daemon(Program, ["-db", "-f", near]), () => new Daemon(Program, ["-db", "-f", far]), cancellationToken);
    }

    // maxconn, because its default follows the limit of open files and may be less than the idle streams; the timeouts have no default.
    private static async Task<string> WriteAsync(string directory, string name, string listeners, CancellationToken cancellationToken)
    {
        var file = Path.Combine(directory, name);
        await File.WriteAllTextAsync(
            file,
            $"""
            global
              maxconn 4000
            defaults
              mode tcp
              timeout connect 10s
              timeout client 1h
              timeout server 1h
            {listeners}
            """,
            cancellationToken);
        return file;
    }
}
