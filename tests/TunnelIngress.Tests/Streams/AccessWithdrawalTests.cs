using Microsoft.Extensions.Logging.Abstractions;
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

namespace TunnelIngress.Tests.Streams;

public sealed class AccessWithdrawalTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly JumpingTime _time = new(Samples.Now);
    private readonly RecordingLogger<AccessWithdrawal> _log = new();
    private readonly StreamSet<StreamInfo> _streams = new();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Jump_of_the_clock_cuts_nothing_for_a_minute_but_a_revocation_does()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        var (expiring, _) = Samples.NewToken(Samples.Access("orders-db"), Samples.Now.AddHours(1));
        var (revoked, _) = Samples.NewToken(Samples.Access("orders-db"), Samples.Now.AddHours(1));
        await store.AddTokenAsync(expiring, Cancelled);
        await store.AddTokenAsync(revoked, Cancelled);
        var state = new StateWatcher(store, TimeProvider.System, NullLogger<StateWatcher>.Instance);
        await state.StartAsync(Cancelled);
        using var metrics = new IngressMetrics(_streams, new StreamSet<RequestInfo>(), new ConnectorRegistry(new LimitOptions()), state);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        Task[] running = [Withdrawal(state, metrics).RunAsync(stop.Token), state.RunAsync(stop.Token)];
        var (cutOfExpiring, cutOfRevoked) = (Stream(expiring), Stream(revoked));

        _time.Jump = TimeSpan.FromHours(2);
        _time.Advance(TimeSpan.FromSeconds(1));
        await _log.WaitForAsync("ClockJumped");
        await store.RevokeTokenAsync(revoked.ClientId, Samples.Now, Cancelled);
        await cutOfRevoked.WaitAsync(TimeSpan.FromSeconds(30), Cancelled);
        await _log.WaitForAsync("AccessWithdrawn");
        Assert.False(cutOfExpiring.IsCompleted);

        _time.Advance(TimeSpan.FromSeconds(60));
        await cutOfExpiring.WaitAsync(TimeSpan.FromSeconds(30), Cancelled);

        await stop.CancelAsync();
        await Task.WhenAll(running);
    }

    /// <returns>Completes when it is cut.</returns>
    private Task Stream(Token token)
    {
        var cut = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        StreamSet<StreamInfo>.Entry? entry = null;
        entry = _streams.Add(new StreamInfo(token.ClientId, "vpc", "orders-db", token.ClientId, "here", null!), _ =>
        {
            entry!.Dispose();
            cut.TrySetResult();
        });
        return cut.Task;
    }

    private AccessWithdrawal Withdrawal(StateWatcher state, IngressMetrics metrics)
    {
        var limits = new LimitOptions();
        var access = new AccessCheck(state, new TokenUses(), new FailedAccessLimiter(_time), null!, metrics, _time, NullLogger<AccessCheck>.Instance);
        var carriers = new ApplicationCarriers(access, state, null!, new StreamGate(limits), limits, metrics, _time, NullLogger<ApplicationCarriers>.Instance);
        return new AccessWithdrawal(state, new ConnectorRegistry(limits), _streams, new StreamSet<RequestInfo>(), carriers, null, _time, _log);
    }
}
