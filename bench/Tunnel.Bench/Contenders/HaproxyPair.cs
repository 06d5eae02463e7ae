using Tunnel.Bench.Distance;

namespace Tunnel.Bench.Contenders;

/// <summary>Debian's HAProxy in TCP mode with TLS 1.3.</summary>
internal static class HaproxyPair
{
    public const string Name = "haproxy TLS pair";

    public static async Task<TlsPair> StartAsync(BenchRun run, string directoryName, Link link, CancellationToken cancellationToken)
    {
        var directory = run.DirectoryFor(directoryName);
        var ports = TlsPairPorts.Next(link);

        var both = await run.Certificate.WriteWithKeyAsync(directory, cancellationToken);
        var verified = $"ssl ssl-min-ver TLSv1.3 verify required verifyhost localhost ca-file {run.Certificate.File}";
        var near = await Haproxy.ConfigureAsync(
            directory, "near.cfg", "tcp",
            $"""
            listen postgres
              bind {ports.NearPostgres}
              server far {ports.AcrossPostgres} {verified}
            listen raw
              bind {ports.NearRaw}
              server far {ports.AcrossRaw} {verified}

            """,
            cancellationToken);
        var far = await Haproxy.ConfigureAsync(
            directory, "far.cfg", "tcp",
            $"""
            listen postgres
              bind {ports.FarPostgres} ssl crt {both} ssl-min-ver TLSv1.3
              server target {run.Database.TcpEndPoint}
            listen raw
              bind {ports.FarRaw} ssl crt {both} ssl-min-ver TLSv1.3
              server target {run.Raw.TcpEndPoint}

            """,
            cancellationToken);
        return await TlsPair.StartAsync(Name, ports, () => Haproxy.Start(near), () => Haproxy.Start(far), cancellationToken);
    }
}
