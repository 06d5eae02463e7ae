using System.Collections.Concurrent;
using System.Net.Sockets;

namespace Shared.Streams.Sockets;

/// <summary>Accepts connections for as long as it is told to and serves each on its own.</summary>
public static class AcceptLoop
{
    /// <summary>So many connections in a row without a wait; then the streams of this thread have their turn, and the thread pool goes on.</summary>
    private const int MaxInARow = 16;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LastPause = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Accepts until cancelled, closes the listener and then waits until everything that was accepted has been served.
    /// </summary>
    /// <param name="listener">Where.</param>
    /// <param name="serve">Serves one connection to its end and handles its own expected failures.</param>
    /// <param name="onFailure">
    /// Told when accepting fails, which is tried again after a pause of 50 ms to 1 s (out of file descriptors is no reason to spin or
    /// to end), and when <paramref name="serve"/> fails unexpectedly.
    /// </param>
    /// <param name="time">The clock of the pause.</param>
    /// <param name="cancellationToken">Ends the accepting; also handed to <paramref name="serve"/>.</param>
    public static async Task RunAsync(
        StreamListener listener, Func<AcceptedStream, CancellationToken, Task> serve, Action<Exception> onFailure, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var running = new ConcurrentDictionary<Task, byte>();
        try
        {
            var (pause, inARow) = (FirstPause, 0);
            while (true)
            {
                try
                {
                    var accepting = listener.AcceptAsync(cancellationToken);
                    inARow = accepting.IsCompleted ? inARow + 1 : 0;
                    var accepted = await accepting;
                    pause = FirstPause;
                    if (inARow >= MaxInARow)
                    {
                        await Task.Yield();
                        inARow = 0;
                    }

                    Track(running, ServeAsync(accepted, serve, onFailure, cancellationToken));
                }
                catch (SocketException exception)
                {
                    onFailure(exception);
                    await Task.Delay(pause, time, cancellationToken);
                    pause = TimeSpan.FromTicks(Math.Min(LastPause.Ticks, pause.Ticks * 2));
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await listener.DisposeAsync();
        }

        await Task.WhenAll(running.Keys);
    }

    private static void Track(ConcurrentDictionary<Task, byte> running, Task served)
    {
        running.TryAdd(served, 0);
        _ = served.ContinueWith(
            static (task, state) => ((ConcurrentDictionary<Task, byte>)state!).TryRemove(task, out _),
            running,
            CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
    }

    private static async Task ServeAsync(
        AcceptedStream accepted, Func<AcceptedStream, CancellationToken, Task> serve, Action<Exception> onFailure, CancellationToken cancellationToken)
    {
        try
        {
            await serve(accepted, cancellationToken);
        }
        catch (Exception exception)
        {
            // One connection's fault must neither end the others nor go unseen.
            accepted.Stream.Abort(new StreamAbort(AbortCode.Dropped, "internal error"));
            onFailure(exception);
        }
    }
}
