using System.Collections.Concurrent;
using Shared.Streams.Dialing;
using TunnelIngress.Configuration;
using TunnelIngress.Connectors;
using TunnelIngress.State;
using TunnelIngress.Streams;

namespace TunnelIngress.Web;

/// <summary>
/// The origins of HTTP services: made at a service's first request, made anew when its settings change, ended with the service. Safe for concurrent
/// use.
/// </summary>
internal sealed class OriginSet : IDisposable
{
    /// <summary>Long enough for a request that has just got hold of a client to be sent with it.</summary>
    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, Origin> _origins = new(StringComparer.Ordinal);
    private readonly StateWatcher _state;
    private readonly ConnectorRegistry _connectors;
    private readonly StreamService _streams;
    private readonly IngressSettings _settings;
    private readonly TimeProvider _time;

    public OriginSet(StateWatcher state, ConnectorRegistry connectors, StreamService streams, IngressSettings settings, TimeProvider time)
    {
        (_state, _connectors, _streams, _settings, _time) = (state, connectors, streams, settings, time);
        state.Changed += Follow;
        connectors.Draining += LeaveConnector;
    }

    /// <summary>The origin of a service, as its settings are now.</summary>
    /// <param name="name">The service's name.</param>
    /// <exception cref="DialException">Hop ingress: the service was removed meanwhile, or speaks no HTTP any more.</exception>
    public Origin For(string name)
    {
        while (true)
        {
            if (_state.Current.Services.GetValueOrDefault(name) is not { Web: not null } service)
            {
                throw new DialException(Hop.Ingress, "unknown-hostname", "No service has this hostname any more.");
            }

            if (_origins.TryGetValue(name, out var origin))
            {
                if (ReferenceEquals(origin.Service, service) || origin.Service == service)
                {
                    return origin;
                }

                // The state has changed, and this request was the first to see it.
                Retire(name, origin);
                continue;
            }

            var made = Create(service);
            if (!_origins.TryAdd(name, made))
            {
                made.Client.Dispose();
            }
            else if (_state.Current.Services.GetValueOrDefault(name) != service)
            {
                // It has changed between the two looks, and whoever follows it may have passed already.
                Retire(name, made);
            }
        }
    }

    /// <summary>Ends connections that carry no request; the others end after theirs.</summary>
    public void CloseIdle()
    {
        foreach (var origin in _origins.Values)
        {
            origin.Renew().Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _state.Changed -= Follow;
        _connectors.Draining -= LeaveConnector;
        foreach (var origin in _origins.Values)
        {
            origin.Client.Dispose();
        }
    }

    private Origin Create(Service service) => new(service, _streams, _settings.OpenTimeout, _settings.PublicPorts, _settings.Plaintext, _time);

    private void Follow()
    {
        var services = _state.Current.Services;
        foreach (var (name, origin) in _origins)
        {
            if (services.GetValueOrDefault(name) != origin.Service)
            {
                Retire(name, origin);
            }
        }
    }

    // What is kept open for later would keep the connector from ending; another replica carries what comes.
    private void LeaveConnector(ConnectorSession session)
    {
        foreach (var (name, origin) in _origins)
        {
            if (session.Services.Contains(name))
            {
                _ = RetireAsync(origin.Renew());
            }
        }
    }

    private void Retire(string name, Origin origin)
    {
        if (_origins.TryRemove(new(name, origin)))
        {
            _ = RetireAsync(origin.Client);
        }
    }

    private async Task RetireAsync(IDisposable client)
    {
        await Task.Delay(Farewell, _time);
        client.Dispose();
    }
}
