using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Shared.Management.Prometheus;
using Shared.Streams.Relaying;
using TunnelIngress.Configuration;
using TunnelIngress.Connectors;
using TunnelIngress.Metrics;
using TunnelIngress.State;
using TunnelIngress.Streams;
using TunnelIngress.Web;

namespace TunnelIngress.Tests.Metrics;

public sealed class IngressMetricsTests
{
    [Theory]
    [InlineData(3600.9, "3600")]
    [InlineData(-60, "-60")]
    public async Task Certificate_in_use_has_its_seconds_left_told(double seconds, string told)
    {
        using var export = new PrometheusExport(IngressMetrics.MeterName);
        var state = new StateWatcher(null!, TimeProvider.System, NullLogger<StateWatcher>.Instance);
        using var metrics = new IngressMetrics(new StreamSet<StreamInfo>(), new StreamSet<RequestInfo>(), new ConnectorRegistry(new LimitOptions()), state);

        metrics.ObserveCertificate(() => TimeSpan.FromSeconds(seconds));

        using var text = new MemoryStream();
        await export.WriteAsync(text, TestContext.Current.CancellationToken);
        Assert.Contains($"\ntunnel_ingress_certificate_expires_seconds {told}\n", Encoding.UTF8.GetString(text.ToArray()), StringComparison.Ordinal);
    }
}
