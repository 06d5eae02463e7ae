using System.Collections.Concurrent;
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

    /// <summary>The origin of a service that speaks HTTP.</summary>
    public Origin For(Service service)
    {
        var origin = _origins.GetOrAdd(service.Name, static (_, of) => of.Set.Create(of.Service), (Set: this, Service: service));
        if (ReferenceEquals(origin.Service, service) || origin.Service == service)
        {
            return origin;
        }

        // The state has changed, and this request was the first to see it.
        var next = Create(service);
        if (_origins.TryUpdate(service.Name, next, origin))
        {
            _ = RetireAsync(origin.Client);
        }
        else
        {
            next.Client.Dispose();
        }

        return _origins.GetValueOrDefault(service.Name) ?? origin;
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

    private Origin Create(Service service) => new(service, _streams, _settings.OpenTimeout, _settings.Plaintext, _time);

    private void Follow()
    {
        var services = _state.Current.Services;
        foreach (var (name, origin) in _origins)
        {
            if (services.GetValueOrDefault(name) != origin.Service && _origins.TryRemove(new(name, origin)))
            {
                _ = RetireAsync(origin.Client);
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

    private async Task RetireAsync(IDisposable client)
    {
        await Task.Delay(Farewell, _time);
        client.Dispose();
    }
}
