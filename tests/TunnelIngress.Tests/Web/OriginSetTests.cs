using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Shared.Streams.Dialing;
using Shared.Streams.Relaying;
using TunnelIngress.Configuration;
using TunnelIngress.Connectors;
using TunnelIngress.Metrics;
using TunnelIngress.State;
using TunnelIngress.Streams;
using TunnelIngress.Tests.State;
using TunnelIngress.Web;

namespace TunnelIngress.Tests.Web;

public sealed class OriginSetTests : IDisposable
{
    private const string Name = "orders-db";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly TemporaryDirectory _directory = new();
    private readonly FakeTimeProvider _time = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Origin_is_always_that_of_the_state_in_force()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        await store.SetServiceAsync(Name, "orders-db.example.com", WebOrigin.Default, Cancel);
        var state = new StateWatcher(store, _time, NullLogger<StateWatcher>.Instance);
        await state.StartAsync(Cancel);

        // Requests that see a change before the set itself does.
        Origin? first = null;
        OriginSet? origins = null;
        state.Changed += () => first = state.Current.Services.ContainsKey(Name) ? origins!.For(Name) : null;
        using var metrics = new IngressMetrics(new StreamSet<StreamInfo>(), new StreamSet<RequestInfo>(), new ConnectorRegistry(new LimitOptions()), state);
        using var set = origins = NewSet(state, metrics);
        var changed = System.Threading.Channels.Channel.CreateUnbounded<bool>();
        state.Changed += () => changed.Writer.TryWrite(true);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var watching = state.RunAsync(stop.Token);
        var before = origins.For(Name);
        Assert.Same(before, origins.For(Name));

        var web = WebOrigin.Default with { HostHeader = "orders.internal" };
        await store.SetServiceAsync(Name, "orders-db.example.com", web, Cancel);
        await UntilChangedAsync(changed.Reader);

        var after = origins.For(Name);
        Assert.Equal((WebOrigin.Default, web), (before.Web, after.Web));
        Assert.Same(first, after);
        Assert.NotSame(before.Client, after.Client);

        await store.RemoveServiceAsync(Name, Cancel);
        await UntilChangedAsync(changed.Reader);

        Assert.Equal("unknown-hostname", Assert.Throws<DialException>(() => origins.For(Name)).Code);
        await stop.CancelAsync();
        await watching;
    }

    [Fact]
    public async Task Service_without_HTTP_has_no_origin()
    {
        var state = new StateWatcher(await Samples.OpenFilledAsync(_directory.Path), _time, NullLogger<StateWatcher>.Instance);
        await state.StartAsync(Cancel);
        using var metrics = new IngressMetrics(new StreamSet<StreamInfo>(), new StreamSet<RequestInfo>(), new ConnectorRegistry(new LimitOptions()), state);
        using var origins = NewSet(state, metrics);

        Assert.Equal(Hop.Ingress, Assert.Throws<DialException>(() => origins.For(Name)).Hop);
    }

    private async Task UntilChangedAsync(System.Threading.Channels.ChannelReader<bool> changed)
    {
        var waiting = changed.ReadAsync(Cancel).AsTask();
        using var limit = new CancellationTokenSource(Patience);
        while (!waiting.IsCompleted)
        {
            limit.Token.ThrowIfCancellationRequested();
            _time.Advance(TimeSpan.FromMilliseconds(500));
            await Task.WhenAny(waiting, Task.Delay(20, Cancel));
        }

        await waiting;
    }

    private OriginSet NewSet(StateWatcher state, IngressMetrics metrics)
    {
        var registry = new ConnectorRegistry(new LimitOptions());
        var settings = IngressSettings.From(new IngressOptions { Listen = ["127.0.0.1:0"], DevCertificate = true });
        var streams = new StreamService(
            new StreamBroker(registry, _time), new StreamGate(settings.Limits), new StreamSet<StreamInfo>(), settings, metrics, _time, NullLogger<StreamService>.Instance);
        return new OriginSet(state, registry, streams, settings, _time);
    }
}
