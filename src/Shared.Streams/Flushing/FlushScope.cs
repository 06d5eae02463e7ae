namespace Shared.Streams.Flushing;

/// <summary>
/// While a loop hands out what has arrived, what is written on its thread waits for the end of it: so the frames of several streams
/// leave in one batch as they came. Scopes nest, and then the outermost one sends. One for each loop, used by its thread alone.
/// </summary>
internal sealed class FlushScope
{
    [ThreadStatic]
    private static FlushScope? _current;

    private readonly List<IFlushable> _deferred = [];
    private bool _isOutermost;

    /// <summary>Begins to hold back what this thread writes.</summary>
    public void Enter()
    {
        _isOutermost = _current is null;
        _current ??= this;
    }

    /// <summary>Sends what was held back. On the thread that entered.</summary>
    public void Leave()
    {
        if (_isOutermost)
        {
            // What goes on while it is sent may write again, and does so without a scope.
            _current = null;
            Flush();
        }
    }

    /// <summary>
    /// Sends what this thread has held back so far: for who goes on without a wait, so that others need not wait until he has done.
    /// </summary>
    public static void FlushHeldBack()
    {
        if (_current is { } scope)
        {
            _current = null;
            scope.Flush();
            _current = scope;
        }
    }

    /// <summary>True when this thread flushes later.</summary>
    public static bool TryDefer(IFlushable flushable)
    {
        if (_current is not { } scope)
        {
            return false;
        }

        if (!scope._deferred.Contains(flushable))
        {
            scope._deferred.Add(flushable);
        }

        return true;
    }

    private void Flush()
    {
        foreach (var deferred in _deferred)
        {
            deferred.Flush();
        }

        _deferred.Clear();
    }
}
