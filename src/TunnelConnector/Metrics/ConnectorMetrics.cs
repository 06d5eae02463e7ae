using System.Diagnostics;
using System.Diagnostics.Metrics;
using Shared.Streams.Dialing;
using TunnelConnector.Ingress;

namespace TunnelConnector.Metrics;

/// <summary>
/// The connector's instruments. Labels are ingresses and services of its own configuration, hops and codes of its own dialers: all bounded,
/// none secret, none chosen by an ingress. Safe for concurrent use.
/// </summary>
internal sealed class ConnectorMetrics : IDisposable
{
    /// <summary>The meter's name.</summary>
    public const string MeterName = "tunnel_connector";

    /// <summary>In place of the name of a service that an ingress asks for and the configuration does not have.</summary>
    private const string Unconfigured = "(not configured)";

    private readonly Meter _meter = new(MeterName);
    private readonly Counter<long> _opened;
    private readonly Counter<long> _dialsFailed;
    private readonly Counter<long> _registrations;
    private readonly Counter<long> _registrationsFailed;
    private readonly Counter<long> _sessionsLost;

    public ConnectorMetrics()
    {
        _opened = _meter.CreateCounter<long>("streams_opened", description: "Streams opened, by service");
        _dialsFailed = _meter.CreateCounter<long>("dials_failed", description: "Connections to targets that failed, by service, hop and code");
        _registrations = _meter.CreateCounter<long>("registrations", description: "Registrations at ingresses; each but the first is a reconnect");
        _registrationsFailed = _meter.CreateCounter<long>("registrations_failed", description: "Attempts to register that failed, by ingress and hop");
        _sessionsLost = _meter.CreateCounter<long>("sessions_lost", description: "Registrations that ended although neither end drained, and their streams with them");
    }

    /// <summary>Called once, before the links run.</summary>
    /// <param name="links">All of them.</param>
    /// <param name="services">The services that are configured, so that their counters begin at zero.</param>
    public void Observe(IReadOnlyList<IngressLink> links, IEnumerable<string> services)
    {
        _meter.CreateObservableGauge("registered", () => Registered(links), description: "Whether the ingress gives us new streams, by ingress");
        _meter.CreateObservableGauge("streams", () => links.Sum(static link => link.Streams), description: "Streams running now");
        foreach (var ingress in links.Select(static link => link.Address))
        {
            _registrations.Add(0, new TagList { { "ingress", ingress } });
            _sessionsLost.Add(0, new TagList { { "ingress", ingress } });
        }

        foreach (var service in services)
        {
            _opened.Add(0, new TagList { { "service", service } });
        }
    }

    public void StreamOpened(string service) => _opened.Add(1, new TagList { { "service", service } });

    public void DialFailed(string service, DialException failure) =>
        _dialsFailed.Add(1, new TagList { { "service", service }, { "hop", failure.Hop.ToWire() }, { "code", failure.Code } });

    /// <summary>An ingress asked for a service that is not configured; its name would be the ingress's choice.</summary>
    public void UnconfiguredAsked(DialException failure) => DialFailed(Unconfigured, failure);

    public void Registered(string ingress) => _registrations.Add(1, new TagList { { "ingress", ingress } });

    public void RegistrationFailed(string ingress, Hop hop) => _registrationsFailed.Add(1, new TagList { { "ingress", ingress }, { "hop", hop.ToWire() } });

    public void SessionLost(string ingress) => _sessionsLost.Add(1, new TagList { { "ingress", ingress } });

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();

    // One that is configured twice is one, with two registrations.
    private static IEnumerable<Measurement<int>> Registered(IReadOnlyList<IngressLink> links) => links
        .GroupBy(static link => link.Address, StringComparer.Ordinal)
        .Select(static same => new Measurement<int>(same.Count(static link => link.Status.IsRegistered), new TagList { { "ingress", same.Key } }));
}
