using Shared.Hosting.Configuration;
using Shared.Pooling.Postgres;
using Shared.Streams;
using Shared.Streams.Dialing;
using Shared.Streams.Sockets;
using TunnelIngress.Configuration;
using TunnelIngress.State;
using TunnelIngress.Streams;

namespace TunnelIngress.Applications;

/// <summary>
/// TCP and Unix-socket listeners on the ingress host, each bound to a service. Whoever can connect gets a stream without a token.
/// Previous stop of a byte: the application's socket. Next stop: <see cref="StreamService"/>.
/// </summary>
internal sealed class LocalListeners
{
    private readonly StateWatcher _state;
    private readonly StreamService _streams;
    private readonly ApplicationPlaces _places;
    private readonly TimeProvider _time;
    private readonly ILogger<LocalListeners> _logger;
    private readonly ListenerSet<LocalBinding> _listeners;

    public LocalListeners(StateWatcher state, StreamService streams, AcceptBudget budget, ApplicationPlaces places, TimeProvider time, ILogger<LocalListeners> logger)
    {
        (_state, _streams, _places, _time, _logger) = (state, streams, places, time, logger);
        _listeners = new ListenerSet<LocalBinding>(
            static binding => binding.Address,
            budget,
            ServeAsync,
            (binding, exception) => _logger.AcceptFailed(exception, binding.Address.ToString()),
            time);
    }

    /// <summary>Opens what is new and closes what is gone.</summary>
    /// <exception cref="ConfigurationException">A service does not exist; nothing was changed.</exception>
    /// <exception cref="IOException">An address cannot be bound; the message says why.</exception>
    public void Apply(IReadOnlyList<LocalBinding> bindings)
    {
        foreach (var binding in bindings)
        {
            if (!_state.Current.Services.ContainsKey(binding.Service))
            {
                throw new ConfigurationException(
                    "Local", $"There is no service '{binding.Service}'; add it with 'tunnel-ingress service add'.");
            }
        }

        _listeners.Apply(bindings, (binding, address) => _logger.LocalListening(address.ToString(), binding.Service));
    }

    /// <summary>Takes no new connections.</summary>
    public void Close() => _listeners.Close();

    /// <summary>Waits until all accepted connections have been served.</summary>
    /// <param name="cut">Cancelled when those whose streams are still being opened are to leave.</param>
    public Task StopAsync(CancellationToken cut) => _listeners.StopAsync(cut);

    private async Task ServeAsync(LocalBinding binding, AcceptedConnection accepted, CancellationToken cancellationToken)
    {
        OpenedStream opened;
        var early = new EarlyData(accepted.Stream);
        try
        {
            // Whoever can connect here may.
            if (_places.TakeLocal(accepted.Place, binding.Service) is { } refusal)
            {
                throw refusal;
            }

            var service = _state.Current.Services.GetValueOrDefault(binding.Service)
                ?? throw new DialException(Hop.Ingress, "unknown-service", $"The service {binding.Service} was removed.");
            opened = await _streams.OpenAsync(service, new StreamCaller(null, accepted.Remote), early, cancellationToken);
        }
        catch (DialException exception)
        {
            await StartupRefusal.AnswerAsync(early.Unread(), exception, _time, cancellationToken);
            return;
        }
        catch (OperationCanceledException)
        {
            accepted.Stream.Abort(new StreamAbort(AbortCode.Shutdown, "the listener was closed"));
            await accepted.Stream.DisposeAsync();
            return;
        }

        await _streams.RelayAsync(opened, early.Rest());
    }
}
