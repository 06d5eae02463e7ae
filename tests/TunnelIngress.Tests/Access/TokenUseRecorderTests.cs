using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
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

namespace TunnelIngress.Tests.Access;

public sealed class TokenUseRecorderTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly TemporaryDirectory _directory = new();
    private readonly FakeTimeProvider _time = new(Samples.Now);
    private readonly TokenUses _uses = new();
    private readonly ConnectorRegistry _connectors = new(new LimitOptions());
    private readonly StreamSet<StreamInfo> _streams = new();
    private readonly StreamSet<RequestInfo> _requests = new();
    private readonly RecordingLogger<TokenUseRecorder> _log = new();
    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;
    private IngressMetrics? _metrics;
    private ApplicationCarriers? _carriers;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
        _metrics?.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task Uses_are_written_once_a_minute_and_at_the_end_and_the_revision_stays()
    {
        var (store, token, _) = await StartAsync();
        var revision = await store.GetRevisionAsync(Cancelled);
        _uses.Note(token.ClientId, 1, from: null, _time.GetUtcNow());
        _time.Advance(TokenUseRecorder.Interval - TimeSpan.FromMilliseconds(1));
        Assert.Empty(await store.LoadUsesAsync(Cancelled));

        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(Samples.Now, await UntilAsync(store, static _ => true));

        _time.Advance(TimeSpan.FromSeconds(10));
        _uses.Note(token.ClientId, 1, from: null, _time.GetUtcNow());
        Assert.Equal(Samples.Now, (await store.LoadUsesAsync(Cancelled))[0].At);
        await _stop.CancelAsync();
        await _running;

        Assert.Equal(Samples.Now.AddSeconds(70), (await store.LoadUsesAsync(Cancelled))[0].At);
        Assert.Equal(revision, await store.GetRevisionAsync(Cancelled));
    }

    [Fact]
    public async Task What_stands_uses_its_token_for_as_long_as_it_does()
    {
        var (store, token, _) = await StartAsync();
        var session = new ConnectorSession("id", "vpc", "replica", name: null, new AcceptedToken(token, 1), "192.0.2.1:1000", Samples.Now, control: null!);
        _connectors.Add(session);
        await NextAsync("192.0.2.1");
        _connectors.Remove(session);

        using (_streams.Add(new StreamInfo("id", "vpc", "orders-db", token.ClientId, "[2001:db8::1]:1000", null!) { SecretVersion = 1 }, static _ => { }))
        {
            await NextAsync("2001:db8::1");
        }

        using (_requests.Add(new RequestInfo("id", "orders-db", token.ClientId) { SecretVersion = 1, From = System.Net.IPAddress.Parse("192.0.2.3") }, static _ => { }))
        {
            await NextAsync("192.0.2.3");
        }

        async Task NextAsync(string from)
        {
            _time.Advance(TokenUseRecorder.Interval);
            var now = _time.GetUtcNow();
            await UntilAsync(store, use => use.At == now && use.From == from);
        }
    }

    [Fact]
    public async Task What_could_not_be_written_is_told_once_and_written_later()
    {
        var (store, token, _) = await StartAsync();
        await ExecuteAsync(store, "ALTER TABLE token_use RENAME TO away");
        _uses.Note(token.ClientId, 1, from: null, _time.GetUtcNow());
        _time.Advance(TokenUseRecorder.Interval);
        await _log.WaitForAsync("TokenUsesNotWritten");

        _time.Advance(TokenUseRecorder.Interval);
        await ExecuteAsync(store, "ALTER TABLE away RENAME TO token_use");
        _time.Advance(TokenUseRecorder.Interval);

        Assert.Equal(Samples.Now, await UntilAsync(store, static _ => true));
        Assert.Equal(1, _log.Count("TokenUsesNotWritten"));
    }

    private static async Task ExecuteAsync(SqliteStateStore store, string sql)
    {
        await using var connection = new SqliteConnection($"Data Source={store.Path}");
        await connection.OpenAsync(Cancelled);
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync(Cancelled);
    }

    private static async Task<DateTimeOffset> UntilAsync(SqliteStateStore store, Func<TokenUse, bool> condition)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(Patience);
        while (true)
        {
            if ((await store.LoadUsesAsync(limit.Token)).FirstOrDefault(condition) is { } use)
            {
                return use.At;
            }

            await Task.Delay(20, limit.Token);
        }
    }

    [Fact]
    public async Task Carrier_uses_its_token_without_a_stream()
    {
        var (store, _, held) = await StartAsync();
        Assert.NotNull(_carriers!.Admit(null!, new AccessHostname(held.ClientId, held.ClientSecret, Samples.Service("orders-db").Hostname), remote: null).Carry);
        _time.Advance(TokenUseRecorder.Interval);
        await UntilAsync(store, static _ => true);

        _time.Advance(TokenUseRecorder.Interval);

        await UntilAsync(store, use => use.At == Samples.Now + (2 * TokenUseRecorder.Interval));
    }

    private async Task<(SqliteStateStore Store, Token Token, ServiceToken Held)> StartAsync()
    {
        var (token, held) = Samples.NewToken(Samples.Access("orders-db"));
        var store = await Samples.OpenFilledAsync(_directory.Path);
        await store.AddTokenAsync(token, Cancelled);
        var state = new StateWatcher(store, _time, new RecordingLogger<StateWatcher>());
        await state.StartAsync(Cancelled);
        var limits = new LimitOptions();
        _metrics = new IngressMetrics(_streams, _requests, _connectors, state);
        var access = new AccessCheck(state, _uses, new FailedAccessLimiter(_time), null!, _metrics, _time, NullLogger<AccessCheck>.Instance);
        _carriers = new ApplicationCarriers(access, state, null!, new StreamGate(limits), limits, _metrics, _time, NullLogger<ApplicationCarriers>.Instance);
        var recorder = new TokenUseRecorder(_uses, store, state, _connectors, _streams, _requests, _carriers, postgres: null, _time, _log);
        _running = recorder.RunAsync(_stop.Token);
        return (store, token, held);
    }
}
