using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Hosting;
using Shared.Streams.Relaying;
using TunnelIngress.Access;
using TunnelIngress.Applications;
using TunnelIngress.Configuration;
using TunnelIngress.Connectors;
using TunnelIngress.Metrics;
using TunnelIngress.Pools;
using TunnelIngress.State;
using TunnelIngress.Streams;
using TunnelIngress.Tests.State;
using TunnelIngress.Web;

namespace TunnelIngress.Tests.Pools;

public sealed class LimitedPoolLogTests : IDisposable
{
    private const string Remote = "192.0.2.1:4711";

    private readonly FakeTimeProvider _time = new();
    private readonly RecordingLogger<AccessCheck> _accessLog = new();
    private readonly RecordingLogger<LimitedPoolLog> _poolLog = new();
    private readonly IngressMetrics _metrics;
    private readonly FailedAccessLimiter _limiter;
    private readonly AccessCheck _access;
    private readonly LimitedPoolLog _log;

    public LimitedPoolLogTests()
    {
        _limiter = new FailedAccessLimiter(_time);
        var state = new StateWatcher(null!, _time, new RecordingLogger<StateWatcher>());
        _metrics = new IngressMetrics(new StreamSet<StreamInfo>(), new StreamSet<RequestInfo>(), new ConnectorRegistry(new LimitOptions()), state);
        _access = new AccessCheck(state, new TokenUses(), _limiter, null!, _metrics, _time, _accessLog);
        _log = new LimitedPoolLog(new PoolEventLog(_poolLog), _access, _time, _poolLog);
    }

    public void Dispose() => _metrics.Dispose();

    [Fact]
    public void Refusals_at_either_port_leave_the_other_its_lines_and_are_told_when_there_were_too_many()
    {
        for (var i = 0; i < 100; i++)
        {
            _log.ClientRefused(Remote, "no such protocol", isDenied: false);
        }

        _access.CountRefusal(IPAddress.Parse("192.0.2.2"), "192.0.2.2:1", "", "host", "/", "Unknown");

        Assert.Equal(AccessCheck.LogLinesPerSecond, _poolLog.Count("ClientRefused"));
        Assert.Equal(1, _accessLog.Count("AccessDenied"));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, _poolLog.Count("ClientRefusalsNotLogged"));
        Assert.Equal(0, _accessLog.Count("AccessDenialsNotLogged"));
    }

    [Fact]
    public void Refused_token_counts_for_its_address_and_in_the_metric_and_nothing_else_does()
    {
        var denied = 0L;
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, listening) =>
        {
            if (instrument is { Name: "access_denied", Meter.Name: IngressMetrics.MeterName })
            {
                listening.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, value, _, _) => denied += value);
        listener.Start();

        for (var i = 0; i < FailedAccessLimiter.Burst; i++)
        {
            _log.ClientRefused(Remote, "the login took too long", isDenied: false);
        }

        Assert.Equal(0, denied);
        for (var i = 0; i < FailedAccessLimiter.Burst; i++)
        {
            _log.ClientRefused(Remote, "password authentication failed", isDenied: true);
        }

        Assert.Equal(FailedAccessLimiter.Burst, denied);
        Assert.False(_limiter.TryCount(IPAddress.Parse("192.0.2.1")));
        Assert.True(_limiter.TryCount(IPAddress.Parse("192.0.2.2")));
    }
}
