namespace Shared.Hosting.Logging;

/// <summary>
/// Bounds the lines that strangers can make a program write, and says how many were left out. Safe for concurrent use.
/// </summary>
/// <param name="lines">So many are written in each interval.</param>
/// <param name="interval">Begins with a line.</param>
/// <param name="time">The clock.</param>
/// <param name="onLeftOut">Told at the end of an interval how many were left out in it.</param>
public sealed class LineLimit(int lines, TimeSpan interval, TimeProvider time, Action<long> onLeftOut)
{
    private readonly Lock _lock = new();
    private long _beginning;
    private int _written;
    private long _leftOut;

    /// <summary>True when there is room for another line.</summary>
    public bool MayWrite()
    {
        lock (_lock)
        {
            var now = time.GetTimestamp();
            if (_written == 0 || time.GetElapsedTime(_beginning, now) >= interval)
            {
                (_beginning, _written) = (now, 0);
            }

            if (_written < lines)
            {
                _written++;
                return true;
            }

            if (_leftOut++ == 0)
            {
                _ = ReportAsync(interval - time.GetElapsedTime(_beginning, now));
            }

            return false;
        }
    }

    private async Task ReportAsync(TimeSpan rest)
    {
        await Task.Delay(rest, time);
        long leftOut;
        lock (_lock)
        {
            (leftOut, _leftOut) = (_leftOut, 0);
        }

        onLeftOut(leftOut);
    }
}
