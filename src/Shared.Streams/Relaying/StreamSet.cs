using System.Collections.Concurrent;

namespace Shared.Streams.Relaying;

/// <summary>
/// The streams that a program carries now, so that it can count them, cut some and wait for the last one.
/// All members may be called concurrently; there is no lock across streams.
/// </summary>
/// <typeparam name="TInfo">What the program knows of a stream and chooses by.</typeparam>
public sealed class StreamSet<TInfo>
{
    private readonly ConcurrentDictionary<Entry, byte> _entries = new();
    private readonly ConcurrentDictionary<TaskCompletionSource, byte> _waiters = new();
    private int _count;
    private bool _closed;
    private StreamAbort _closeReason;

    /// <summary>How many streams there are now.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>What is known of each stream; a moving snapshot.</summary>
    public IEnumerable<TInfo> Infos => _entries.Keys.Select(entry => entry.Info);

    /// <summary>Adds a stream before its relay starts; dispose the entry when the relay has ended.</summary>
    public Entry Add(TInfo info, DuplexStream application, DuplexStream target) => Add(new Entry(
        this,
        info,
        application,
        reason =>
        {
            application.Abort(reason);
            target.Abort(reason);
        }));

    /// <summary>Adds what is cut in a way of its own; dispose the entry when it has ended.</summary>
    public Entry Add(TInfo info, Action<StreamAbort> abort) => Add(new Entry(this, info, application: null, abort));

    private Entry Add(Entry entry)
    {
        _entries.TryAdd(entry, 0);
        Interlocked.Increment(ref _count);

        // Looked at after adding: who closes the set at the same time sees the entry, or is seen here.
        if (Volatile.Read(ref _closed))
        {
            entry.Abort(_closeReason);
        }

        return entry;
    }

    /// <summary>Cuts the streams that fit.</summary>
    /// <returns>How many were cut.</returns>
    public int Abort(Func<TInfo, bool> which, StreamAbort reason)
    {
        var cut = 0;
        foreach (var entry in _entries.Keys)
        {
            if (which(entry.Info))
            {
                entry.Abort(reason);
                cut++;
            }
        }

        return cut;
    }

    /// <summary>Cuts all streams, also those that are added from now on: one that was being opened is none too many. Call once.</summary>
    public void Close(StreamAbort reason)
    {
        _closeReason = reason;
        Interlocked.Exchange(ref _closed, true);
        Abort(static _ => true, reason);
    }

    /// <summary>Tells the applications of the streams that fit that these are leaving.</summary>
    public void TellLeaving(Func<TInfo, bool> which)
    {
        foreach (var entry in _entries.Keys)
        {
            if (which(entry.Info))
            {
                entry.TellLeaving();
            }
        }
    }

    /// <summary>Completes when there is no stream.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled before.</exception>
    public async Task WhenEmptyAsync(CancellationToken cancellationToken)
    {
        while (Count > 0)
        {
            var empty = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.TryAdd(empty, 0);
            try
            {
                // Looked at again after registering: the last stream may have ended between the two.
                if (Count > 0)
                {
                    await empty.Task.WaitAsync(cancellationToken);
                }
            }
            finally
            {
                _waiters.TryRemove(empty, out _);
            }
        }
    }

    private void Remove(Entry entry)
    {
        if (_entries.TryRemove(entry, out _) && Interlocked.Decrement(ref _count) == 0)
        {
            foreach (var waiter in _waiters.Keys)
            {
                waiter.TrySetResult();
            }
        }
    }

    /// <summary>A stream's place in the set.</summary>
    public sealed class Entry : IDisposable
    {
        private readonly StreamSet<TInfo> _set;
        private readonly DuplexStream? _application;
        private readonly Action<StreamAbort> _abort;

        internal Entry(StreamSet<TInfo> set, TInfo info, DuplexStream? application, Action<StreamAbort> abort)
        {
            (_set, Info, _application, _abort) = (set, info, application, abort);
        }

        /// <summary>What is known of the stream.</summary>
        public TInfo Info { get; }

        /// <summary>Cuts the stream at both ends.</summary>
        public void Abort(StreamAbort reason) => _abort(reason);

        /// <summary>Tells the application that the stream is leaving, where that can be told.</summary>
        public void TellLeaving() => _application?.TellLeaving();

        /// <inheritdoc/>
        public void Dispose() => _set.Remove(this);
    }
}
