using System.Collections.Immutable;
using System.Threading.Channels;
using Microsoft.Extensions.Time.Testing;
using Shared.Pooling.Postgres.Authentication;
using TunnelIngress.State;

namespace TunnelIngress.Tests.State;

public sealed class StateWatcherTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly TemporaryDirectory _directory = new();
    private readonly RecordingLogger<StateWatcher> _log = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_change_by_another_process_takes_effect_while_it_watches()
    {
        var watcher = new StateWatcher(new SqliteStateStore(_directory.Path), TimeProvider.System, _log);
        await watcher.StartAsync(Cancel);
        await using var watching = new Watching(watcher).Start();
        var changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        watcher.Changed += () => changed.TrySetResult();

        var admin = await Programs.RunAsync("tunnel", "add", "vpc", "--state", _directory.Path);

        Assert.Equal(0, admin.ExitCode);
        await changed.Task.WaitAsync(Patience, Cancel);
        Assert.Contains("vpc", watcher.Current.Tunnels.Keys);
    }

    [Fact]
    public async Task An_outage_keeps_the_last_snapshot_and_is_told_once_as_is_its_end()
    {
        var store = new FailingStore(await Samples.OpenFilledAsync(_directory.Path));
        var time = new FakeTimeProvider();
        var watcher = new StateWatcher(store, time, _log);
        await watcher.StartAsync(Cancel);
        var before = watcher.Current;
        await using var watching = new Watching(watcher).Start();

        store.Failure = new IOException("the disk is gone");
        await store.PollAsync(time);
        await store.PollAsync(time);
        await store.PollAsync(time);
        Assert.Same(before, watcher.Current);
        store.Failure = null;
        await store.PollAsync(time);
        await _log.WaitForAsync("StateReadableAgain");

        Assert.Equal(1, _log.Count("StateUnreadable"));
        Assert.Equal(1, _log.Count("StateReadableAgain"));
    }

    [Theory]
    [InlineData(typeof(InvalidOperationException))]
    [InlineData(typeof(OperationCanceledException))]
    [InlineData(typeof(TimeoutException))]
    public async Task Watching_goes_on_after_a_failure_of_any_kind(Type failure)
    {
        var store = new FailingStore(await Samples.OpenFilledAsync(_directory.Path));
        var time = new FakeTimeProvider();
        var watcher = new StateWatcher(store, time, _log);
        await watcher.StartAsync(Cancel);
        await using var watching = new Watching(watcher).Start();

        store.Failure = (Exception)Activator.CreateInstance(failure)!;
        await store.PollAsync(time);
        store.Failure = null;
        await store.AddTunnelAsync(new TunnelIngress.State.Tunnel("lab", Samples.Now), Cancel);
        await store.PollAsync(time);
        await _log.WaitForAsync("StateChanged");

        Assert.Contains("lab", watcher.Current.Tunnels.Keys);
    }

    [Fact]
    public async Task What_was_changed_is_told_with_its_name_and_without_its_secrets()
    {
        var store = new FailingStore(await Samples.OpenFilledAsync(_directory.Path));
        var (token, held) = Samples.NewToken(Samples.Access("orders-db"));
        await store.AddTokenAsync(token, Cancel);
        var time = new FakeTimeProvider();
        var watcher = new StateWatcher(store, time, _log);
        await watcher.StartAsync(Cancel);
        await using var watching = new Watching(watcher).Start();
        var id = token.ClientId;
        (Func<Task> Change, string[] Told)[] changes =
        [
            (() => store.AddTunnelAsync(new TunnelIngress.State.Tunnel("lab", Samples.Now), Cancel), ["tunnel lab added"]),
            (() => store.AddServiceAsync(Samples.Service("wiki") with { Tunnel = "lab" }, Cancel), ["service wiki added: wiki.example.com, tunnel lab, tcp"]),
            (() => store.SetServiceAsync("wiki", "w.example.com", WebOrigin.Default, Cancel),
                ["service wiki hostname w.example.com instead of wiki.example.com", "service wiki http for service-token instead of tcp"]),
            (() => store.SetServiceAsync("wiki", "w.example.com", WebOrigin.Default with { HostHeader = "x" }, Cancel), ["service wiki other settings of HTTP"]),
            (() => store.GrantAccessAsync(id, ["wiki"], Samples.Now, Cancel), [$"token {id} access granted: wiki"]),
            (() => store.WithdrawAccessAsync(id, ["orders-db"], Cancel), [$"token {id} access withdrawn: orders-db"]),
            (() => store.RemoveServiceAsync("wiki", Cancel), ["service wiki removed", $"token {id} access withdrawn: wiki"]),
            (() => store.RotateTokenAsync(id, token.Secrets[0].Hash, static _ => null, Samples.Now, TimeSpan.Zero, Cancel), [$"token {id} rotated"]),
            (() => store.RevokeTokenAsync(id, Samples.Now, Cancel), [$"token {id} revoked"]),
            (() => store.RemoveTokenAsync(id, Samples.Now, Cancel), [$"token {id} removed"]),
            (() => store.AddTokenAsync(token, Cancel), [$"token {id} added as a-token: access orders-db, does not expire"]),
            (() => store.SetPoolAsync(new ServicePool("users-db", ImmutableSortedDictionary<string, string>.Empty.Add("User", "root"), [1], Samples.Now), Cancel), ["pool users-db set"]),
            (() => store.RemovePoolAsync("users-db", Cancel), ["pool users-db removed"]),
            (() => store.RemoveTunnelAsync("lab", Samples.Now, Cancel), ["tunnel lab removed"]),
        ];

        foreach (var (change, told) in changes)
        {
            var before = _log.Count("Administered");
            await change();
            await store.PollAsync(time);
            foreach (var _ in told)
            {
                await _log.WaitForAsync("Administered");
            }

            var lines = _log.Entries.Where(static entry => entry.Event == "Administered").Skip(before).Select(static entry => entry.Message);
            Assert.Equal(told.Select(static text => $"Administration: {text}"), lines);
        }

        Assert.DoesNotContain(_log.Entries, entry => entry.Message.Contains(held.ClientSecret, StringComparison.Ordinal) || entry.Message.Contains("root", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Very_many_changes_at_once_are_told_in_part_and_counted()
    {
        var store = new FailingStore(await Samples.OpenFilledAsync(_directory.Path));
        var time = new FakeTimeProvider();
        var watcher = new StateWatcher(store, time, _log);
        await watcher.StartAsync(Cancel);
        await using var watching = new Watching(watcher).Start();
        for (var i = 0; i < 103; i++)
        {
            await store.AddTunnelAsync(new TunnelIngress.State.Tunnel($"t-{i}", Samples.Now), Cancel);
        }

        await store.PollAsync(time);
        await _log.WaitForAsync("AdministeredMore");

        Assert.Equal(100, _log.Count("Administered"));
        Assert.Contains(_log.Entries, static entry => entry.Message == "Administration: 3 more changes in this revision");
    }

    [Fact]
    public async Task A_handler_that_fails_stops_neither_the_others_nor_the_next_change()
    {
        var store = new FailingStore(await Samples.OpenFilledAsync(_directory.Path));
        var time = new FakeTimeProvider();
        var watcher = new StateWatcher(store, time, _log);
        await watcher.StartAsync(Cancel);
        var calls = new SemaphoreSlim(0);
        watcher.Changed += static () => throw new InvalidOperationException("a bug");
        watcher.Changed += () => calls.Release();
        await using var watching = new Watching(watcher).Start();

        foreach (var name in new[] { "one", "two" })
        {
            await store.AddTunnelAsync(new TunnelIngress.State.Tunnel(name, Samples.Now), Cancel);
            await store.PollAsync(time);
            Assert.True(await calls.WaitAsync(Patience, Cancel));
        }

        Assert.Equal(2, _log.Count("StateReactionFailed"));
    }

    [Fact]
    public async Task Start_fails_when_the_state_cannot_be_read() =>
        await Assert.ThrowsAsync<IOException>(() => new StateWatcher(new SqliteStateStore("/dev/null/state"), TimeProvider.System, _log).StartAsync(Cancel));

    /// <summary>Runs a watcher until it is disposed.</summary>
    private sealed class Watching(StateWatcher watcher) : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private Task? _running;

        public Watching Start()
        {
            _running = watcher.RunAsync(_stop.Token);
            return this;
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await (_running ?? Task.CompletedTask);
            _stop.Dispose();
        }
    }

    /// <summary>A real store that fails to be polled on purpose.</summary>
    private sealed class FailingStore(SqliteStateStore store) : IStateStore
    {
        private readonly Channel<bool> _polls = Channel.CreateUnbounded<bool>();

        public Exception? Failure { get; set; }

        /// <summary>Lets the watcher poll once.</summary>
        public async Task PollAsync(FakeTimeProvider time)
        {
            time.Advance(TimeSpan.FromMilliseconds(500));
            await _polls.Reader.ReadAsync(Cancel).AsTask().WaitAsync(Patience, Cancel);
        }

        public Task InitializeAsync(CancellationToken cancellationToken) => store.InitializeAsync(cancellationToken);

        public Task OpenAsync(CancellationToken cancellationToken) => store.OpenAsync(cancellationToken);

        public async Task<long> GetRevisionAsync(CancellationToken cancellationToken)
        {
            var failure = Failure;
            _polls.Writer.TryWrite(true);
            return failure is null ? await store.GetRevisionAsync(cancellationToken) : throw failure;
        }

        public Task<StateSnapshot> LoadAsync(CancellationToken cancellationToken) => store.LoadAsync(cancellationToken);

        public Task AddTunnelAsync(TunnelIngress.State.Tunnel tunnel, CancellationToken cancellationToken) => store.AddTunnelAsync(tunnel, cancellationToken);

        public Task RemoveTunnelAsync(string name, DateTimeOffset now, CancellationToken cancellationToken) => store.RemoveTunnelAsync(name, now, cancellationToken);

        public Task AddServiceAsync(Service service, CancellationToken cancellationToken) => store.AddServiceAsync(service, cancellationToken);

        public Task<Service> SetServiceAsync(string name, Func<Service, Service> change, CancellationToken cancellationToken) =>
            store.SetServiceAsync(name, change, cancellationToken);

        public Task<IReadOnlyList<Token>> RemoveServiceAsync(string name, CancellationToken cancellationToken) => store.RemoveServiceAsync(name, cancellationToken);

        public Task<Service> SetPoolAsync(string service, Func<ServicePool?, ServicePool> change, CancellationToken cancellationToken) =>
            store.SetPoolAsync(service, change, cancellationToken);

        public Task RemovePoolAsync(string service, CancellationToken cancellationToken) => store.RemovePoolAsync(service, cancellationToken);

        public Task AddTokenAsync(Token token, CancellationToken cancellationToken) => store.AddTokenAsync(token, cancellationToken);

        public Task RotateTokenAsync(
            string clientId, ImmutableArray<byte> hash, Func<Token, ScramVerifier?> scram, DateTimeOffset now, TimeSpan overlap, CancellationToken cancellationToken) =>
            store.RotateTokenAsync(clientId, hash, scram, now, overlap, cancellationToken);

        public Task RevokeTokenAsync(string clientId, DateTimeOffset at, CancellationToken cancellationToken) =>
            store.RevokeTokenAsync(clientId, at, cancellationToken);

        public Task RemoveTokenAsync(string clientId, DateTimeOffset now, CancellationToken cancellationToken) =>
            store.RemoveTokenAsync(clientId, now, cancellationToken);

        public Task RecordUsesAsync(IReadOnlyCollection<TokenUse> uses, DateTimeOffset now, CancellationToken cancellationToken) =>
            store.RecordUsesAsync(uses, now, cancellationToken);

        public Task<IReadOnlyList<TokenUse>> LoadUsesAsync(CancellationToken cancellationToken) => store.LoadUsesAsync(cancellationToken);

        public Task GrantAccessAsync(string clientId, IReadOnlyCollection<string> services, DateTimeOffset now, CancellationToken cancellationToken) =>
            store.GrantAccessAsync(clientId, services, now, cancellationToken);

        public Task WithdrawAccessAsync(string clientId, IReadOnlyCollection<string> services, CancellationToken cancellationToken) =>
            store.WithdrawAccessAsync(clientId, services, cancellationToken);
    }
}
