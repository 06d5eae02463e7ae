namespace Shared.Streams.Multiplexing;

/// <summary>
/// While a carrier's receiving loop hands out what has arrived, whatever is written on its thread, to this or another carrier, waits for
/// the end of it: so the frames of several streams leave in one batch as they came. One for each receiving loop, used by it alone.
/// </summary>
internal sealed class FlushScope
{
    [ThreadStatic]
    private static FlushScope? _current;

    private readonly List<FrameWriter> _writers = [];
    private FlushScope? _outer;

    /// <summary>Begins to hold back what this thread writes.</summary>
    public void Enter()
    {
        _outer = _current;
        _current = this;
    }

    /// <summary>Sends what was held back. On the thread that entered.</summary>
    public void Leave()
    {
        _current = _outer;
        foreach (var writer in _writers)
        {
            writer.Flush();
        }

        _writers.Clear();
    }

    /// <summary>True when this thread sends for the writer later.</summary>
    public static bool TryDefer(FrameWriter writer)
    {
        if (_current is not { } scope)
        {
            return false;
        }

        if (!scope._writers.Contains(writer))
        {
            scope._writers.Add(writer);
        }

        return true;
    }
}
