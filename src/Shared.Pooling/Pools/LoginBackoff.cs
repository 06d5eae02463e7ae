namespace Shared.Pooling.Pools;

/// <summary>
/// When to try again after a connection could not be opened: with full jitter, soon enough that the pool heals about a second after the
/// database does. Safe for concurrent use.
/// </summary>
internal sealed class LoginBackoff(TimeProvider time)
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private TimeSpan _range = First;
    private TimeSpan _delay;
    private long _failedAt;

    /// <summary>Why the last attempt failed; null after a success.</summary>
    public Exception? LastFailure { get; private set; }

    /// <summary>True when an attempt may be made now.</summary>
    /// <param name="running">How many attempts run already: after a failure one at a time is enough.</param>
    public bool MayTry(int running)
    {
        lock (_gate)
        {
            return LastFailure is null || (running == 0 && time.GetElapsedTime(_failedAt) >= _delay);
        }
    }

    /// <summary>An attempt succeeded.</summary>
    public void Succeeded()
    {
        lock (_gate)
        {
            LastFailure = null;
            _range = First;
        }
    }

    /// <summary>An attempt failed.</summary>
    public void Failed(Exception reason)
    {
        lock (_gate)
        {
            LastFailure = reason;
            _failedAt = time.GetTimestamp();
            _delay = _range * Random.Shared.NextDouble();
            _range = _range * 2 < Longest ? _range * 2 : Longest;
        }
    }
}
