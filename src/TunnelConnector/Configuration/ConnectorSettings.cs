using System.Collections.Frozen;
using Microsoft.Extensions.Logging;
using Shared.Hosting.Configuration;
using Shared.Management;
using Shared.Streams.Access;
using Shared.Streams.Dialing;
using Shared.Streams.Protocol;
using Shared.Streams.Sockets;

namespace TunnelConnector.Configuration;

/// <summary>The checked configuration. Immutable; a reload makes a new one.</summary>
internal sealed record ConnectorSettings
{
    public required IReadOnlyList<Uri> Ingresses { get; init; }

    public required IServiceTokenSource Token { get; init; }

    /// <summary>What this connector is called, across restarts; a <see cref="PlainName"/>.</summary>
    public required string Name { get; init; }

    public required CertificateTrust Trust { get; init; }

    /// <summary>Service name to the dialer of its target: the whole of what this connector can reach.</summary>
    public required FrozenDictionary<string, IDialer> Targets { get; init; }

    public required int Carriers { get; init; }

    public required int ParkedChannels { get; init; }

    public required TimeSpan HalfCloseTimeout { get; init; }

    public required TimeSpan Grace { get; init; }

    public required ListenAddress? Management { get; init; }

    /// <summary>Checks the options.</summary>
    /// <exception cref="ConfigurationException">Names the first key that is wrong.</exception>
    public static ConnectorSettings From(ConnectorOptions options, TimeProvider time, ILogger logger) => new()
    {
        Ingresses = options.Ingress.Count > 0
            ? [.. options.Ingress.Select((text, index) => IngressUri($"Ingress:{index}", text, options.AllowPlaintext))]
            : throw new ConfigurationException("Ingress", "Give at least one ingress, e.g. --ingress wss://tunnel.example.com."),
        Token = options.Token.CreateSource("Token", logger),
        Name = NameOf(options.Name),
        Trust = SettingChecks.Trust("CaFile", options.CaFile, "--ca-file"),
        Targets = TargetsOf(options, time),
        Carriers = SettingChecks.Within("Carriers", options.Carriers, 0, TunnelProtocol.MaxCarriers),
        ParkedChannels = SettingChecks.Within("ParkedChannels", options.ParkedChannels, 1, TunnelProtocol.MaxParkedChannels / 4),
        HalfCloseTimeout = SettingChecks.Seconds("HalfCloseTimeoutSeconds", options.HalfCloseTimeoutSeconds, 1, 86_400),
        Grace = SettingChecks.Seconds("GraceSeconds", options.GraceSeconds, 0, 86_400),
        Management = ManagementAddress.From(options.Management, options.ManagementAllowRemote),
    };

    private static string NameOf(string? name) =>
        string.IsNullOrEmpty(name) ? PlainName.Nearest(Environment.MachineName, "connector")
        : PlainName.FaultOf("connector", name) is { } fault ? throw new ConfigurationException("Name", fault)
        : name;

    private static Uri IngressUri(string key, string text, bool allowPlaintext)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Scheme is not ("wss" or "ws") || uri.AbsolutePath != "/"
            || uri.Query.Length > 0 || uri.UserInfo.Length > 0)
        {
            throw new ConfigurationException(key, $"'{text}' is not an ingress. Write wss://host or wss://host:port.");
        }

        return uri.Scheme == "wss" || allowPlaintext
            ? uri
            : throw new ConfigurationException(key, $"'{text}' is not encrypted. Write wss://, or set AllowPlaintext to true for development.");
    }

    private static FrozenDictionary<string, IDialer> TargetsOf(ConnectorOptions options, TimeProvider time)
    {
        if (options.Services.Count is 0 or > TunnelProtocol.MaxServices)
        {
            throw new ConfigurationException(
                "Services", $"Give 1 to {TunnelProtocol.MaxServices} services, e.g. --service orders-db=tcp://10.0.1.5:5432.");
        }

        var timeout = SettingChecks.Seconds("ConnectTimeoutSeconds", options.ConnectTimeoutSeconds, 1, 60);
        return options.Services.ToFrozenDictionary(
            service => service.Key,
            service => DialerOf($"Services:{service.Key}", service.Value, timeout, time),
            StringComparer.Ordinal);
    }

    private static IDialer DialerOf(string key, ServiceOptions service, TimeSpan timeout, TimeProvider time) =>
        SettingChecks.Parsed($"{key}:Target", () => TargetAddress.Parse(service.Target))
            .CreateDialer(SettingChecks.Trust($"{key}:CaFile", service.CaFile), timeout, time);
}
