using System.Globalization;
using System.Net;
using Tunnel.Bench.Distance;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Contenders;

/// <summary>
/// `ssh -R` by the installed OpenSSH with its default algorithms: a server of our own on a free loopback port, with keys made
/// for this run, and a client beside the target that dials out to it and asks for two forwarded ports.
/// </summary>
internal sealed class SshReverse : IAsyncDisposable
{
    public const string Name = "ssh -R";

    // sshd must be started by its full path, and a user's PATH often lacks the directory.
    private static readonly string[] ServerPlaces = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"];

    private readonly Daemon _server;
    private readonly Daemon _client;

    private SshReverse(Daemon server, Daemon client, Contender contender)
    {
        _server = server;
        _client = client;
        Contender = contender;
    }

    public Contender Contender { get; }

    /// <summary>Gets where the further target is reached, if there is one.</summary>
    public IPEndPoint? Further { get; private init; }

    public static Task<SshReverse> StartAsync(BenchRun run, string name, Link link, CancellationToken cancellationToken) =>
        StartAsync(run, name, link, furtherTarget: null, cancellationToken);

    /// <param name="run">The run that it is part of.</param>
    /// <param name="name">A name for its directory.</param>
    /// <param name="link">What lies between ssh and sshd.</param>
    /// <param name="furtherTarget">A target besides the database and the raw one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<SshReverse> StartAsync(BenchRun run, string name, Link link, IPEndPoint? furtherTarget, CancellationToken cancellationToken)
    {
        var directory = run.DirectoryFor(name);
        foreach (var key in new[] { "host", "client" })
        {
            var file = Path.Combine(directory, key);
            if (!File.Exists(file))
            {
                await Tool.RunAsync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file], new Dictionary<string, string>(), TimeSpan.FromSeconds(30), cancellationToken);
            }
        }

        if (Environment.IsPrivilegedProcess)
        {
            // As root, sshd insists on its privilege separation directory, which only its own service makes.
            Directory.CreateDirectory("/run/sshd");
        }

        var port = FreePort.Next().Port;
        await WriteServerConfigurationAsync(directory, port, cancellationToken);
        var listener = new IPEndPoint(IPAddress.Loopback, port);
        var across = link.Across(listener);
        await File.WriteAllTextAsync(
            Path.Combine(directory, "known_hosts"),
            $"[127.0.0.1]:{across.Port} {await File.ReadAllTextAsync(Path.Combine(directory, "host.pub"), cancellationToken)}", cancellationToken);

        var postgresForwarded = FreePort.Next();
        var rawForwarded = FreePort.Next();
        var furtherForwarded = furtherTarget is null ? null : FreePort.Next();
        var server = new Daemon(ServerProgram(), ["-D", "-e", "-f", Path.Combine(directory, "sshd_config")]);
        Daemon? client = null;
        try
        {
            await Readiness.WaitForListenerAsync(listener, [server], cancellationToken);
            client = new Daemon(
                "ssh",
                [
                    "-F", "none", "-N", "-T", "-i", Path.Combine(directory, "client"), "-p", Text(across.Port),
                    "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ExitOnForwardFailure=yes",
                    "-o", $"UserKnownHostsFile={Path.Combine(directory, "known_hosts")}",
                    "-R", $"{postgresForwarded}:{run.Database.TcpEndPoint}", "-R", $"{rawForwarded}:{run.Raw.TcpEndPoint}",
                    .. furtherForwarded is null ? Array.Empty<string>() : ["-R", $"{furtherForwarded}:{furtherTarget}"],
                    $"{Environment.UserName}@127.0.0.1",
                ]);
            await Readiness.WaitForListenerAsync(postgresForwarded, [server, client], cancellationToken);
            await Readiness.WaitForEchoAsync(rawForwarded, [server, client], cancellationToken);
            return new SshReverse(server, client, new Contender(
                Name, "client → sshd → ssh → target", postgresForwarded, rawForwarded,
                [new WatchedProcess("sshd", server.Id), new WatchedProcess("ssh", client.Id)]))
            {
                Further = furtherForwarded,
            };
        }
        catch
        {
            await StopAsync(client, server);
            throw;
        }
    }

    public ValueTask DisposeAsync() => StopAsync(_client, _server);

    private static Task WriteServerConfigurationAsync(string directory, int port, CancellationToken cancellationToken) =>
        File.WriteAllTextAsync(
            Path.Combine(directory, "sshd_config"),
            $"""
            ListenAddress 127.0.0.1:{port}
            HostKey {Path.Combine(directory, "host")}
            AuthorizedKeysFile {Path.Combine(directory, "client.pub")}
            PidFile none
            UsePAM no
            StrictModes no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin prohibit-password
            AllowTcpForwarding remote
            MaxSessions 10

            """,
            cancellationToken);

    private static string ServerProgram() =>
        ServerPlaces.FirstOrDefault(File.Exists)
            ?? throw new InvalidOperationException("sshd is not installed; 'scripts/install bench' installs it");

    private static async ValueTask StopAsync(params Daemon?[] daemons)
    {
        foreach (var daemon in daemons)
        {
            if (daemon is not null)
            {
                await daemon.DisposeAsync();
            }
        }
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
