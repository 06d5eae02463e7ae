using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Postgres.Authentication;
using Shared.Pooling.Postgres.Clients;
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

public sealed class TokenDirectoryTests : IDisposable
{
    private const string Remote = "192.0.2.7:5000";

    private readonly TemporaryDirectory _directory = new();
    private readonly FakeTimeProvider _time = new(Samples.Now);
    private readonly TokenUses _uses = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_client_uses_the_secret_that_it_has_proven_from_then_on_until_it_leaves()
    {
        var verifier = ScramVerifier.Create("two");
        var (token, _) = Samples.NewToken(Samples.Access("orders-db"));
        token = token with { Secrets = [token.Secrets[0] with { Scram = verifier }] };
        var store = await Samples.OpenFilledAsync(_directory.Path);
        await store.AddTokenAsync(token, Cancel);
        await store.RotateTokenAsync(token.ClientId, ClientSecret.Hash("two"), _ => verifier, Samples.Now, TimeSpan.FromHours(1), Cancel);
        var state = new StateWatcher(store, _time, new RecordingLogger<StateWatcher>());
        await state.StartAsync(Cancel);
        using var metrics = new IngressMetrics(new StreamSet<StreamInfo>(), new StreamSet<RequestInfo>(), new ConnectorRegistry(new LimitOptions()), state);
        var access = new AccessCheck(state, _uses, new FailedAccessLimiter(_time), null!, metrics, _time, NullLogger<AccessCheck>.Instance);
        var directory = new TokenDirectory(state, access, _time);

        var admission = await directory.FindAsync(new ClientRequest(token.ClientId, "orders-db", null, null, Remote), Cancel);
        Assert.Empty(_uses.Unwritten());
        Assert.Equal(2, admission.Credential!.Verifiers.Length);
        admission.OnProven!(1);
        Assert.Equal([new TokenUse(token.ClientId, 1, Samples.Now, "192.0.2.7")], _uses.Unwritten());

        directory.NoteUses(Samples.Now.AddMinutes(1));
        Assert.Equal([new TokenUse(token.ClientId, 1, Samples.Now.AddMinutes(1), "192.0.2.7")], _uses.Unwritten());
        directory.Forget(Remote);
        directory.NoteUses(Samples.Now.AddMinutes(2));
        Assert.Equal(Samples.Now.AddMinutes(1), Assert.Single(_uses.Unwritten()).At);
    }
}
