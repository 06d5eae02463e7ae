using System.CommandLine;
using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Shared.Hosting.CommandLine;
using Shared.Hosting.Configuration;
using Shared.Hosting.Logging;
using Shared.Streams.Dialing;
using Shared.Streams.Protocol;
using Shared.Streams.WebSockets;
using TunnelConnector.Configuration;
using TunnelConnector.Ingress;

namespace TunnelConnector;

/// <summary><c>tunnel-connector check</c>.</summary>
internal static class CheckCommand
{
    private const string Description = """
        Try every target and every ingress with the configuration of 'run': connect to each target, and register at each ingress
        for a moment, without taking streams. Says for each which hop failed and what to do, and exits with 1 when one did.

        Examples:
          tunnel-connector check --config /etc/tunnel/connector.json
          tunnel-connector check --ingress wss://tunnel.example.com --token-file connector.token \
              --service orders-db=tcp://10.0.1.5:5432
        """;

    public static Command Create()
    {
        var command = new Command("check", Description);
        var options = RunCommand.AddOptions(command);
        command.SetAction(async (result, cancellationToken) => await RunAsync(
            new ConfigurationLayers("TUNNEL_CONNECTOR__", result.GetValue(options.Config), options.Flags(result)), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(ConfigurationLayers layers, CancellationToken cancellationToken)
    {
        var settings = ConnectorSettings.From(
            layers.Load(static configuration => configuration.Get<ConnectorOptions>()), TimeProvider.System, NullLogger.Instance);
        var failed = false;
        foreach (var (service, target) in settings.Targets.OrderBy(static target => target.Key, StringComparer.Ordinal))
        {
            failed |= !await TryAsync($"target {service}", () => ConnectAsync(target, cancellationToken));
        }

        foreach (var ingress in settings.Ingresses)
        {
            failed |= !await TryAsync($"ingress {ingress.Authority}", () => RegisterAsync(ingress, settings, cancellationToken));
        }

        return failed ? ExitCodes.Failure : ExitCodes.Success;
    }

    private static async Task<bool> TryAsync(string what, Func<Task<string>> attempt)
    {
        var start = TimeProvider.System.GetTimestamp();
        try
        {
            var done = await attempt();
            var milliseconds = TimeProvider.System.GetElapsedTime(start).TotalMilliseconds;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"ok     {what}: {done} in {milliseconds:0.0} ms"));
            return true;
        }
        catch (DialException exception)
        {
            Console.WriteLine($"FAILED {what} at {exception.Hop.ToWire()}: {VisibleText.Of(exception.Message)}");
            return false;
        }
        catch (IOException exception)
        {
            Console.WriteLine($"FAILED {what}: {VisibleText.Of(exception.Message)}");
            return false;
        }
    }

    private static async Task<string> ConnectAsync(IDialer target, CancellationToken cancellationToken)
    {
        await using var stream = await target.DialAsync(cancellationToken);
        return "connected";
    }

    // Without services it gets no streams, which it could not serve.
    private static async Task<string> RegisterAsync(Uri ingress, ConnectorSettings settings, CancellationToken cancellationToken)
    {
        var options = new WebSocketDialerOptions { Token = settings.Token, Trust = settings.Trust, Time = TimeProvider.System };
        using var dialer = new WebSocketDialer(options);
        var (webSocket, _) = await dialer.DialAsync(new Uri(ingress, TunnelProtocol.ControlPath), [], pings: true, cancellationToken);
        using var control = new ControlChannel(webSocket);
        var registered = await ControlHandshake.RegisterAsync(control, $"check of {settings.Name}", name: null, [], cancellationToken);
        await control.CloseAsync(System.Net.WebSockets.WebSocketCloseStatus.NormalClosure, "checked");
        return $"registered for tunnel {VisibleText.Of(registered.Tunnel)}";
    }
}
