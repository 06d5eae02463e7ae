using System.Net;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Contenders;

/// <summary>An ingress's state, made by the administration's own commands: a tunnel, its services and the tokens.</summary>
/// <param name="Directory">The state directory.</param>
/// <param name="ConnectorToken">The file of the connector's token.</param>
/// <param name="AccessToken">The file of the application's token.</param>
internal sealed record TunnelState(string Directory, string ConnectorToken, string AccessToken)
{
    public const string PostgresHost = "postgres.bench.localhost";
    public const string RawHost = "raw.bench.localhost";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Gets the file of the root that the ingress's certificate chains to; it is there once the ingress runs.</summary>
    public string Authority => Path.Combine(Directory, "dev-ca.pem");

    /// <summary>Makes one in a directory. The commands run once in a run; everybody gets a copy of what they made.</summary>
    public static async Task<TunnelState> CreateAsync(BenchRun run, string directory, CancellationToken cancellationToken)
    {
        var template = In(Path.Combine(run.Directory, "template"));
        if (!Path.Exists(template.AccessToken))
        {
            await template.FillAsync(run.Programs, cancellationToken);
        }

        var copy = In(directory);
        System.IO.Directory.CreateDirectory(copy.Directory, File.GetUnixFileMode(template.Directory));
        foreach (var file in System.IO.Directory.EnumerateFiles(template.Directory))
        {
            File.Copy(file, Path.Combine(copy.Directory, Path.GetFileName(file)));
        }

        File.Copy(template.ConnectorToken, copy.ConnectorToken);
        File.Copy(template.AccessToken, copy.AccessToken);
        return copy;
    }

    /// <summary>Runs further commands of the administration.</summary>
    public async Task AdministerAsync(Programs programs, IEnumerable<string[]> commands, CancellationToken cancellationToken)
    {
        foreach (var command in commands)
        {
            await Tool.RunAsync(programs.Ingress, [.. command, "--state", Directory], new Dictionary<string, string>(), Patience, cancellationToken);
        }
    }

    /// <returns>The arguments of a connector for both services; without another authority, the ingress has a development certificate.</returns>
    public string[] ConnectorArguments(IPEndPoint ingress, IPEndPoint postgres, IPEndPoint raw, string? authority = null) =>
    [
        "run", "--ingress", $"wss://localhost:{ingress.Port}", "--ca-file", authority ?? Authority, "--token-file", ConnectorToken,
        "--service", $"postgres=tcp://{postgres}", "--service", $"raw=tcp://{raw}",
    ];

    private static TunnelState In(string directory) => new(
        Path.Combine(directory, "state"), Path.Combine(directory, "connector.json"), Path.Combine(directory, "access.json"));

    private Task FillAsync(Programs programs, CancellationToken cancellationToken)
    {
        System.IO.Directory.CreateDirectory(Path.GetDirectoryName(Directory)!);
        return AdministerAsync(
            programs,
            [
                ["tunnel", "add", "bench"],
                ["service", "add", "postgres", "--hostname", PostgresHost, "--tunnel", "bench"],
                ["service", "add", "raw", "--hostname", RawHost, "--tunnel", "bench"],
                ["token", "create", "connector", "--connect", "bench", "--output", ConnectorToken],
                ["token", "create", "application", "--access", "postgres", "--access", "raw", "--output", AccessToken],
            ],
            cancellationToken);
    }
}
