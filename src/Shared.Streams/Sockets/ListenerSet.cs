using System.Diagnostics.CodeAnalysis;

namespace Shared.Streams.Sockets;

/// <summary>
/// The listeners that a program's configuration names, kept in step with it: a reload opens what is new and closes what is gone,
/// and leaves the rest and all running streams alone. One caller of <see cref="Apply"/> and <see cref="StopAsync"/> at a time.
/// </summary>
/// <typeparam name="TBinding">What is served where; compared by value.</typeparam>
/// <param name="addressOf">Where a binding listens.</param>
/// <param name="budget">For the connections of all listeners; who finds no place in it is closed at once.</param>
/// <param name="serve">
/// Serves one connection to its end, which is the sooner the better once the token is cancelled. Begins on a thread that other sockets wait for,
/// so it must not block.
/// </param>
/// <param name="onFailure">Told of failures to accept and of unexpected ones to serve.</param>
/// <param name="time">The clock of pauses.</param>
[SuppressMessage("Design", "CA1001", Justification = "Without a timer or a handle, the source of tokens holds nothing that must be given back.")]
public sealed class ListenerSet<TBinding>(
    Func<TBinding, ListenAddress> addressOf,
    AcceptBudget budget,
    Func<TBinding, AcceptedConnection, CancellationToken, Task> serve,
    Action<TBinding, Exception> onFailure,
    TimeProvider time)
    where TBinding : notnull
{
    private readonly Dictionary<TBinding, Running> _running = [];
    private readonly List<Task> _closing = [];
    private readonly CancellationTokenSource _cut = new();

    /// <summary>Opens and closes listeners so that exactly the wanted ones are open.</summary>
    /// <param name="wanted">All bindings of the configuration.</param>
    /// <param name="onListening">Told of each listener that was opened, with the port that the system chose.</param>
    /// <exception cref="IOException">One cannot be opened; those before it are open.</exception>
    public void Apply(IReadOnlyCollection<TBinding> wanted, Action<TBinding, ListenAddress> onListening)
    {
        foreach (var binding in _running.Keys.Except(wanted).ToArray())
        {
            Close(binding);
        }

        foreach (var binding in wanted)
        {
            if (!_running.ContainsKey(binding))
            {
                var listener = StreamListener.Bind(addressOf(binding));
                var stop = new CancellationTokenSource();
                var loop = AcceptLoop.RunAsync(
                    listener,
                    budget,
                    (accepted, _) => serve(binding, accepted, _cut.Token),
                    exception => onFailure(binding, exception),
                    time,
                    stop.Token);
                _running.Add(binding, new Running(stop, loop));
                onListening(binding, listener.LocalAddress);
            }
        }
    }

    /// <summary>Closes all listeners; connections that were accepted are still served.</summary>
    public void Close()
    {
        foreach (var binding in _running.Keys.ToArray())
        {
            Close(binding);
        }
    }

    /// <summary>Closes all listeners and waits until everything that was accepted has been served.</summary>
    /// <param name="cut">Cancelled when who is served still is to be told so.</param>
    public async Task StopAsync(CancellationToken cut)
    {
        Close();
        await using var registration = cut.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _cut);
        await Task.WhenAll(_closing);
    }

    private void Close(TBinding binding)
    {
        _running.Remove(binding, out var running);
        running!.Stop.Cancel();
        _closing.RemoveAll(static closed => closed.IsCompletedSuccessfully);
        _closing.Add(FinishAsync(running));
    }

    private static async Task FinishAsync(Running running)
    {
        await running.Loop;
        running.Stop.Dispose();
    }

    private sealed record Running(CancellationTokenSource Stop, Task Loop);
}
