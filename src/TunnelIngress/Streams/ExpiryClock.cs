namespace TunnelIngress.Streams;

/// <summary>
/// The time by which what runs expires. It is the system's, but for a minute after that has jumped, in which it goes on as before: a wrong time that
/// is put right again meanwhile has cut nothing. Safe for concurrent use.
/// </summary>
internal sealed class ExpiryClock(TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Doubt = TimeSpan.FromSeconds(60);

    private readonly Lock _gate = new();
    private DateTimeOffset _now = time.GetUtcNow();
    private long _lookedAt = time.GetTimestamp();
    private long? _jumpedAt;

    /// <summary>What time it is. A jump is seen by those who look often.</summary>
    public DateTimeOffset Look()
    {
        lock (_gate)
        {
            var (system, timestamp) = (time.GetUtcNow(), time.GetTimestamp());
            var expected = _now + time.GetElapsedTime(_lookedAt, timestamp);
            if ((system - expected).Duration() <= Tolerance)
            {
                _jumpedAt = null;
                _now = system;
            }
            else
            {
                if (_jumpedAt is null)
                {
                    _jumpedAt = timestamp;
                    logger.ClockJumped(Math.Round((system - expected).TotalSeconds), Doubt.TotalSeconds);
                }

                _now = time.GetElapsedTime(_jumpedAt.Value, timestamp) < Doubt ? expected : system;
            }

            _lookedAt = timestamp;
            return _now;
        }
    }
}
