using Microsoft.Extensions.Time.Testing;

namespace TunnelIngress.Tests;

/// <summary>A system whose clock somebody sets while its timers go on.</summary>
internal sealed class JumpingTime(DateTimeOffset start) : FakeTimeProvider(start)
{
    public TimeSpan Jump { get; set; }

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Jump;

    public override long GetTimestamp() => base.GetUtcNow().Ticks;
}
