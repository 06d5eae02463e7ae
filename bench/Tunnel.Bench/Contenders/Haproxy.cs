using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Contenders;

/// <summary>Debian's HAProxy with its default settings: a thread for each processor, session resumption.</summary>
internal static class Haproxy
{
    // sbin is not in every user's PATH.
    private static readonly string[] Places = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"];

    /// <summary>Starts it.</summary>
    /// <param name="file">What <see cref="ConfigureAsync"/> has written.</param>
    /// <exception cref="InvalidOperationException">It is not installed.</exception>
    public static Daemon Start(string file)
    {
        var program = Places.FirstOrDefault(File.Exists) ?? throw new InvalidOperationException("haproxy is not installed; 'scripts/install bench' installs it");
        return new Daemon(program, ["-db", "-f", file]);
    }

    /// <summary>Writes a configuration.</summary>
    /// <remarks>
    /// maxconn, because its default follows the limit of open files and may be less than the idle streams; the timeouts have no default.
    /// </remarks>
    /// <param name="directory">Where to.</param>
    /// <param name="name">The file's name.</param>
    /// <param name="mode">tcp or http.</param>
    /// <param name="listeners">Its sections.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The file.</returns>
    public static async Task<string> ConfigureAsync(string directory, string name, string mode, string listeners, CancellationToken cancellationToken)
    {
        var file = Path.Combine(directory, name);
        await File.WriteAllTextAsync(
            file,
            $"""
            global
              maxconn 4000
            defaults
              mode {mode}
              timeout connect 10s
              timeout client 1h
              timeout server 1h
            {listeners}
            """,
            cancellationToken);
        return file;
    }
}
