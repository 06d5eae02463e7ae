namespace Shared.Streams.Multiplexing;

/// <summary>
/// How much the windows of a carrier's streams, or of several carriers', may grow beyond what each begins with: the bound of what streams can
/// pile up whose readers were quick once and then stopped. All members may be called concurrently.
/// </summary>
public sealed class WindowBudget
{
    /// <summary>In bytes: eight streams at the largest window, or two hundred at a megabyte.</summary>
    public const int Size = 128 * 1024 * 1024;

    private int _left = Size;

    /// <summary>Takes a share, or nothing when that much is not left.</summary>
    public bool TryTake(int bytes)
    {
        if (Interlocked.Add(ref _left, -bytes) >= 0)
        {
            return true;
        }

        Return(bytes);
        return false;
    }

    /// <summary>Gives a share back.</summary>
    public void Return(int bytes) => Interlocked.Add(ref _left, bytes);
}
