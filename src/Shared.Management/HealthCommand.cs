using System.CommandLine;
using Shared.Hosting.CommandLine;
using Shared.Hosting.Configuration;
using Shared.Hosting.Logging;
using Shared.Streams.Sockets;

namespace Shared.Management;

/// <summary>The command <c>health</c> of all programs: a health check for where there is no shell and no curl.</summary>
public static class HealthCommand
{
    /// <summary>Creates it.</summary>
    /// <param name="program">The program's name.</param>
    /// <param name="environmentPrefix">Of its configuration.</param>
    /// <param name="otherwise">The management address of a configuration that names none; null when it then has none.</param>
    public static Command Create(string program, string environmentPrefix, string? otherwise = null)
    {
        var command = new Command("health", $"""
            Ask the running program whether it is ready: {ManagementPages.Ready} on the management address of its configuration. Prints the answer,
            and exits with 1 when it is not ready or does not answer within {HealthCheck.Timeout.TotalSeconds:0} s.

            Examples:
              {program} health --management 127.0.0.1:9081
              {program} health --config /etc/{program}/{program["tunnel-".Length..]}.json
            """);
        var config = new Option<string?>("--config") { Description = "The running program's JSON configuration file", HelpName = "FILE" };
        var management = new Option<string?>("--management")
        {
            Description = $"The running program's management address ({otherwise ?? "the configuration's"})",
            HelpName = "ADDRESS",
        };
        var alive = new Option<bool>("--alive") { Description = "Ask /healthz instead: whether it lives, ready or not" };
        command.Options.Add(config);
        command.Options.Add(management);
        command.Options.Add(alive);
        command.SetAction(async (result, cancellationToken) =>
        {
            Flag[] flags = result.GetValue(management) is { } address ? [new("--management", ManagementAddress.Key, address)] : [];
            var layers = new ConfigurationLayers(environmentPrefix, result.GetValue(config), flags);
            var asked = AddressOf(layers.Read(ManagementAddress.Key) ?? otherwise, environmentPrefix);
            return await RunAsync(asked, result.GetValue(alive) ? ManagementPages.Alive : ManagementPages.Ready, cancellationToken);
        });
        return command;
    }

    private static async Task<int> RunAsync(ListenAddress address, string path, CancellationToken cancellationToken)
    {
        var (isReady, text) = await HealthCheck.AskAsync(address, path, TimeProvider.System, cancellationToken);
        foreach (var line in text.TrimEnd('\n').Split('\n'))
        {
            Console.WriteLine(VisibleText.Of(line));
        }

        return isReady ? ExitCodes.Success : ExitCodes.Failure;
    }

    private static ListenAddress AddressOf(string? text, string environmentPrefix)
    {
        // Whether others may ask is for the program that listens there to check.
        var address = ManagementAddress.From(text, allowRemote: true) ?? throw new ConfigurationException(
            ManagementAddress.Key,
            $"There is no management address, so nobody can be asked. Give the program one and this command the same: --management, {environmentPrefix}{ManagementAddress.Key.ToUpperInvariant()}, or {ManagementAddress.Key} in the file of --config.");
        return address.IPEndPoint?.Port == 0
            ? throw new ConfigurationException(ManagementAddress.Key, $"'{address}' lets the system choose the port, so it cannot be known here. Write the port.")
            : address;
    }
}
