using System.Collections.Concurrent;
using System.Net;
using Shared.Streams.Flushing;

namespace Shared.Streams.Sockets;

/// <summary>Accepts connections for as long as it is told to and serves each on its own.</summary>
public static class AcceptLoop
{
    /// <summary>So many connections in a row without a wait; then the streams of this thread have their turn, and the thread pool goes on.</summary>
    private const int MaxInARow = 16;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LastPause = TimeSpan.FromSeconds(1);
    private static readonly StreamAbort NoPlace = new(AbortCode.Dropped, "too many connections");

    /// <summary>
    /// Accepts until cancelled, or the listener is closed, closes it and then waits until everything that was accepted has been served.
    /// </summary>
    /// <param name="listener">Where.</param>
    /// <param name="budget">Who finds no place in it is closed at once.</param>
    /// <param name="serve">
    /// Serves one connection to its end, when its place is free again, and handles its own expected failures. Begins on a thread that other
    /// sockets wait for, so it must not block.
    /// </param>
    /// <param name="onFailure">
    /// Told when accepting fails, which is tried again after a pause of 50 ms to 1 s (out of file descriptors is no reason to spin or
    /// to end), and when <paramref name="serve"/> fails unexpectedly.
    /// </param>
    /// <param name="time">The clock of the pause.</param>
    /// <param name="cancellationToken">Ends the accepting; also handed to <paramref name="serve"/>.</param>
    public static async Task RunAsync(
        StreamListener listener, AcceptBudget budget, Func<AcceptedConnection, CancellationToken, Task> serve, Action<Exception> onFailure, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var running = new ConcurrentDictionary<Task, byte>();
        await using (listener)
        {
            var (pause, inARow) = (FirstPause, 0);
            while (!cancellationToken.IsCancellationRequested)
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

                    if (budget.TryTake(accepted.RemoteEndPoint?.Address, () => accepted.Stream.Abort(NoPlace)) is { } place)
                    {
                        Track(running, ServeAsync(new(accepted.Stream, accepted.Remote, accepted.RemoteEndPoint, place), serve, onFailure, cancellationToken));
                    }
                    else
                    {
                        accepted.Stream.Abort(NoPlace);
                    }

                    if (inARow > 0)
                    {
                        FlushScope.FlushHeldBack();
                    }
                }
                catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
                {
                    break;
                }
                catch (ObjectDisposedException)
                {
                    break;
                }
                catch (Exception exception)
                {
                    // Whatever it was, a listener that is open must not be one that nobody serves.
                    onFailure(exception);
                    await PauseAsync(pause, time, cancellationToken);
                    pause = TimeSpan.FromTicks(Math.Min(LastPause.Ticks, pause.Ticks * 2));
                }
            }
        }

        await Task.WhenAll(running.Keys);
    }

    private static async Task PauseAsync(TimeSpan pause, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            await Task.Delay(pause, time, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // The loop finds it so.
        }
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
        AcceptedConnection accepted, Func<AcceptedConnection, CancellationToken, Task> serve, Action<Exception> onFailure, CancellationToken cancellationToken)
    {
        using var place = accepted.Place;
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

/// <summary>A connection that was accepted and found a place.</summary>
/// <param name="Stream">Its bytes.</param>
/// <param name="Remote">Where it comes from, for the log.</param>
/// <param name="RemoteEndPoint">The same; null for a Unix socket.</param>
/// <param name="Place">Its place, which the loop gives back.</param>
public sealed record AcceptedConnection(SocketStream Stream, string Remote, IPEndPoint? RemoteEndPoint, AcceptPlace Place);
