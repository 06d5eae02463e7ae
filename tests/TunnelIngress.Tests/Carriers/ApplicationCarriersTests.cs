using Microsoft.Extensions.Logging.Abstractions;
using Shared.Streams.Access;
using Shared.Streams.Protocol;
using Shared.Streams.Relaying;
using TunnelIngress.Access;
using TunnelIngress.Applications;
using TunnelIngress.Carriers;
using TunnelIngress.Configuration;
using TunnelIngress.Connectors;
using TunnelIngress.Metrics;
using TunnelIngress.State;
using TunnelIngress.Streams;
using TunnelIngress.Tests.State;
using TunnelIngress.Web;

namespace TunnelIngress.Tests.Carriers;

public sealed class ApplicationCarriersTests : IDisposable
{
    private const int Most = 2;

    private readonly TemporaryDirectory _directory = new();
    private IngressMetrics? _metrics;

    public void Dispose()
    {
        _metrics?.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task Carrier_counts_from_its_admission_on_until_its_answer_does_not_get_through()
    {
        var (carriers, held) = await CreateAsync();
        var hello = new AccessHostname(held.ClientId, held.ClientSecret, Samples.Service("orders-db").Hostname);

        var first = carriers.Admit(null!, hello, remote: null);
        var second = carriers.Admit(null!, hello, remote: null);
        Assert.NotNull(first.Carry);
        Assert.NotNull(second.Carry);
        Assert.Equal("limited", carriers.Admit(null!, hello, remote: null).Refusal?.Code);
        Assert.Equal("limited", carriers.Admit(null!, hello, remote: null).Refusal?.Code);

        first.GiveUp!();
        Assert.NotNull(carriers.Admit(null!, hello, remote: null).Carry);
        Assert.Equal("limited", carriers.Admit(null!, hello, remote: null).Refusal?.Code);
    }

    private async Task<(ApplicationCarriers Carriers, ServiceToken Held)> CreateAsync()
    {
        var (token, held) = Samples.NewToken(Samples.Access("orders-db"));
        var store = await Samples.OpenFilledAsync(_directory.Path);
        await store.AddTokenAsync(token, TestContext.Current.CancellationToken);
        var state = new StateWatcher(store, TimeProvider.System, NullLogger<StateWatcher>.Instance);
        await state.StartAsync(TestContext.Current.CancellationToken);
        var limits = new LimitOptions { MaxCarriersPerToken = Most };
        _metrics = new IngressMetrics(new StreamSet<StreamInfo>(), new StreamSet<RequestInfo>(), new ConnectorRegistry(limits), state);
        var access = new AccessCheck(state, new TokenUses(), new FailedAccessLimiter(TimeProvider.System), null!, _metrics, TimeProvider.System, NullLogger<AccessCheck>.Instance);
        var carriers = new ApplicationCarriers(
            access, state, null!, new StreamGate(limits), limits, _metrics, TimeProvider.System, NullLogger<ApplicationCarriers>.Instance);
        return (carriers, held);
    }
}
