using System.Collections.Frozen;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Shared.Management.Prometheus;
using Shared.Streams;
using Shared.Streams.Access;
using Shared.Streams.Dialing;
using Shared.Streams.Memory;
using Shared.Streams.Protocol;
using Shared.Streams.Relaying;
using TunnelConnector.Channels;
using TunnelConnector.Configuration;
using TunnelConnector.Metrics;

namespace TunnelConnector.Tests.Channels;

public sealed class StreamServerTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly TaskCompletionSource<DuplexStream> _dialed = new();
    private readonly StreamSet<string> _streams = new();
    private readonly Request _request = new();
    private readonly PrometheusExport _export = new(ConnectorMetrics.MeterName);
    private readonly ConnectorMetrics _metrics = new();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Fault_of_a_stream_ends_that_stream_and_is_nobody_elses()
    {
        _dialed.SetException(new InvalidOperationException("nobody expects that"));

        await ServeAsync();

        Assert.Equal(AbortCode.Dropped, _request.Aborted?.Code);
    }

    [Fact]
    public async Task Stream_whose_target_is_connected_after_the_session_ended_ends_at_once()
    {
        var (near, target) = MemoryDuplexStream.CreatePair();
        var serving = ServeAsync();
        _streams.Close(new StreamAbort(AbortCode.ConnectionLost, "the session ended"));

        _dialed.SetResult(near);

        await serving.WaitAsync(Patience, Cancelled);
        var cut = await Assert.ThrowsAsync<StreamAbortedException>(async () => await target.ReadAsync(new byte[1], Cancelled));
        Assert.Equal(AbortCode.ConnectionLost, cut.Reason.Code);
        Assert.Equal(0, _streams.Count);
    }

    [Theory]
    [InlineData("db", "tunnel_connector_dials_failed_total{code=\"certificate-not-trusted\",hop=\"tls\",service=\"db\"} 1")]
    [InlineData("made-up-by-the-ingress", "tunnel_connector_dials_failed_total{code=\"not-configured\",hop=\"target\",service=\"(not configured)\"} 1")]
    public async Task Failed_dial_is_counted_by_service_and_hop_and_by_no_name_that_an_ingress_chooses(string service, string expected)
    {
        _dialed.SetException(new DialException(Hop.Tls, "certificate-not-trusted", "it is not"));
        _request.Open = new Open("id", service);

        await ServeAsync();

        Assert.NotNull(_request.Refused);
        var metrics = await MetricsAsync();
        Assert.Contains(expected, metrics, StringComparison.Ordinal);
        Assert.DoesNotContain("made-up", metrics, StringComparison.Ordinal);
        Assert.DoesNotContain("streams_opened", metrics, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _metrics.Dispose();
        _export.Dispose();
    }

    private async Task<string> MetricsAsync()
    {
        using var text = new MemoryStream();
        await _export.WriteAsync(text, Cancelled);
        return Encoding.UTF8.GetString(text.ToArray());
    }

    private Task ServeAsync()
    {
        var settings = new ConnectorSettings
        {
            Ingresses = [],
            Name = "replica",
            Token = new FixedServiceToken(new ServiceToken("unused", "unused")),
            Trust = CertificateTrust.System,
            Targets = new Dictionary<string, IDialer> { ["db"] = new Dialer(_dialed.Task) }.ToFrozenDictionary(),
            Carriers = 1,
            ParkedChannels = 1,
            HalfCloseTimeout = TimeSpan.FromMinutes(1),
            Grace = TimeSpan.Zero,
            Management = null,
        };
        return new StreamServer(new CurrentSettings(settings), _metrics, TimeProvider.System, NullLogger<StreamServer>.Instance).ServeAsync(_request, "vpc", _streams, Cancelled);
    }

    private sealed class Dialer(Task<DuplexStream> dialed) : IDialer
    {
        public ValueTask<DuplexStream> DialAsync(CancellationToken cancellationToken) => new(dialed);
    }

    private sealed class Request : IStreamRequest
    {
        public Open Open { get; set; } = new("id", "db");

        public Refused? Refused { get; private set; }

        public StreamAbort? Aborted { get; private set; }

        public ValueTask<DuplexStream> AcceptAsync(CancellationToken cancellationToken) => new(MemoryDuplexStream.CreatePair().First);

        public ValueTask RefuseAsync(Refused refused, CancellationToken cancellationToken)
        {
            Refused = refused;
            return ValueTask.CompletedTask;
        }

        public void Abort(StreamAbort reason) => Aborted = reason;
    }
}
