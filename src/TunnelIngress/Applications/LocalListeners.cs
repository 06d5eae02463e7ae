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
internal sealed class LocalListeners(StateWatcher state, StreamService streams, TimeProvider time, ILogger<LocalListeners> logger)
{
    /// <summary>Binds all addresses, so that a start fails as a whole.</summary>
    /// <exception cref="IOException">An address cannot be bound; the message says why.</exception>
    public IReadOnlyList<(LocalBinding Binding, StreamListener Listener)> Bind(IReadOnlyList<LocalBinding> bindings)
    {
        var bound = new List<(LocalBinding Binding, StreamListener Listener)>();
        foreach (var binding in bindings)
        {
            if (!state.Current.Services.ContainsKey(binding.Service))
            {
                throw new ConfigurationException(
                    "Local", $"There is no service '{binding.Service}'; add it with 'tunnel-ingress service add'.");
            }

            var listener = StreamListener.Bind(binding.Address);
            logger.LocalListening(listener.LocalAddress.ToString(), binding.Service);
            bound.Add((binding, listener));
        }

        return bound;
    }

    /// <summary>Accepts until cancelled; streams that run then go on.</summary>
    public Task RunAsync(LocalBinding binding, StreamListener listener, CancellationToken cancellationToken) =>
        AcceptLoop.RunAsync(
            listener,
            (accepted, stopped) => ServeAsync(binding, accepted, stopped),
            exception => logger.AcceptFailed(listener.LocalAddress.ToString(), exception.Message),
            time,
            cancellationToken);

    private async Task ServeAsync(LocalBinding binding, AcceptedStream accepted, CancellationToken cancellationToken)
    {
        OpenedStream opened;
        try
        {
            var service = state.Current.Services.GetValueOrDefault(binding.Service)
                ?? throw new DialException(Hop.Ingress, "unknown-service", $"The service {binding.Service} was removed.");
            opened = await streams.OpenAsync(service, new StreamCaller(null, accepted.Remote), cancellationToken);
        }
        catch (DialException exception)
        {
            await StartupRefusal.AnswerAsync(accepted.Stream, exception, time, cancellationToken);
            return;
        }
        catch (OperationCanceledException)
        {
            accepted.Stream.Abort(new StreamAbort(AbortCode.Shutdown, "the ingress is shutting down"));
            await accepted.Stream.DisposeAsync();
            return;
        }

        await streams.RelayAsync(opened, accepted.Stream);
    }
}
