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

    public static async Task<TunnelState> CreateAsync(Programs programs, string directory, CancellationToken cancellationToken)
    {
        var state = new TunnelState(
            Path.Combine(directory, "state"), Path.Combine(directory, "connector.json"), Path.Combine(directory, "access.json"));
        string[][] commands =
        [
            ["tunnel", "add", "bench"],
            ["service", "add", "postgres", "--hostname", PostgresHost, "--tunnel", "bench"],
            ["service", "add", "raw", "--hostname", RawHost, "--tunnel", "bench"],
            ["token", "create", "connector", "--connect", "bench", "--output", state.ConnectorToken],
            ["token", "create", "application", "--access", "postgres", "--access", "raw", "--output", state.AccessToken],
        ];
        foreach (var command in commands)
        {
            await Tool.RunAsync(programs.Ingress, [.. command, "--state", state.Directory], new Dictionary<string, string>(), Patience, cancellationToken);
        }

        return state;
    }

    /// <returns>The arguments of a connector for both services.</returns>
    public string[] ConnectorArguments(IPEndPoint ingress, IPEndPoint postgres, IPEndPoint raw) =>
    [
        "run", "--ingress", $"wss://localhost:{ingress.Port}", "--ca-file", Authority, "--token-file", ConnectorToken,
        "--service", $"postgres=tcp://{postgres}", "--service", $"raw=tcp://{raw}",
    ];
}
