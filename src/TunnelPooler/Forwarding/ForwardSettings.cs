using Microsoft.Extensions.Logging;
using Shared.Hosting.Configuration;
using Shared.Management;
using Shared.Streams.Access;
using Shared.Streams.Dialing;
using Shared.Streams.Sockets;

namespace TunnelPooler.Forwarding;

/// <summary>The checked configuration. Immutable.</summary>
internal sealed record ForwardSettings
{
    private const int DefaultPort = 443;

    public required HostAndPort Hostname { get; init; }

    public required IReadOnlyList<ListenAddress> Listen { get; init; }

    public required IServiceTokenSource Token { get; init; }

    public required CertificateTrust Trust { get; init; }

    public required HostAndPort? ConnectTo { get; init; }

    public required TimeSpan OpenTimeout { get; init; }

    public required TimeSpan HalfCloseTimeout { get; init; }

    public required TimeSpan Grace { get; init; }

    public required ListenAddress? Management { get; init; }

    /// <summary>Checks the options.</summary>
    /// <exception cref="ConfigurationException">Names the first key that is wrong.</exception>
    public static ForwardSettings From(ForwardOptions options, ILogger logger)
    {
        var listen = options.Listen.Select((text, index) => ListenOn($"Listen:{index}", text, options.AllowRemote)).ToArray();
        return new ForwardSettings
        {
            Hostname = options.Hostname.Length > 0
                ? SettingChecks.Parsed("Hostname", () => HostAndPort.Parse(options.Hostname, DefaultPort))
                : throw new ConfigurationException("Hostname", "Give the tunnel hostname, e.g. --hostname orders-db.tunnel.example.com."),
            Listen = listen.Length > 0
                ? listen
                : throw new ConfigurationException("Listen", "Give at least one local address, e.g. --listen 127.0.0.1:5432."),
            Token = options.Token.CreateSource("Token", logger),
            Trust = SettingChecks.Trust("CaFile", options.CaFile, "--ca-file"),
            ConnectTo = options.ConnectTo is { } other ? SettingChecks.Parsed("ConnectTo", () => HostAndPort.Parse(other, DefaultPort)) : null,
            OpenTimeout = SettingChecks.Seconds("OpenTimeoutSeconds", options.OpenTimeoutSeconds, 1, 300),
            HalfCloseTimeout = SettingChecks.Seconds("HalfCloseTimeoutSeconds", options.HalfCloseTimeoutSeconds, 1, 86_400),
            Grace = SettingChecks.Seconds("GraceSeconds", options.GraceSeconds, 0, 86_400),
            Management = ManagementAddress.From(options.Management, options.ManagementAllowRemote),
        };
    }

    private static ListenAddress ListenOn(string key, string text, bool allowRemote)
    {
        var address = SettingChecks.Address(key, text);
        return address.IsLoopbackOnly || allowRemote
            ? address
            : throw new ConfigurationException(
                key, $"'{address}' can be reached from outside, and whoever reaches it uses your token. Write a loopback address, or set AllowRemote to true.");
    }
}
