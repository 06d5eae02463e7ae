namespace TunnelConnector.Ingress;

/// <summary>
/// How long to wait before the next attempt: a random time up to a bound that doubles with each failure ("full jitter"), so that
/// a thousand connectors that lost one ingress do not come back at once. Starts over after a healthy minute. One caller at a time.
/// </summary>
internal sealed class Backoff(TimeProvider time, Random random)
{
    public static readonly TimeSpan First = TimeSpan.FromMilliseconds(500);
    public static readonly TimeSpan Cap = TimeSpan.FromSeconds(20);
    public static readonly TimeSpan Healthy = TimeSpan.FromMinutes(1);

    private int _failures;
    private long? _since;

    /// <summary>The connection stands.</summary>
    public void Connected() => _since = time.GetTimestamp();

    /// <summary>The connection failed or ended: the wait before the next one.</summary>
    public TimeSpan Next()
    {
        if (_since is { } since && time.GetElapsedTime(since) >= Healthy)
        {
            _failures = 0;
        }

        _since = null;
        var bound = TimeSpan.FromTicks(Math.Min(Cap.Ticks, First.Ticks << Math.Min(_failures, 10)));
        _failures++;
        return bound * random.NextDouble();
    }
}
