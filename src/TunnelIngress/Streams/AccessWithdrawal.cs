using Shared.Streams;
using Shared.Streams.Relaying;
using TunnelIngress.Carriers;
using TunnelIngress.Connectors;
using TunnelIngress.Pools;
using TunnelIngress.State;
using TunnelIngress.Web;

namespace TunnelIngress.Streams;

/// <summary>
/// Cuts what is no longer allowed: streams, requests and connectors whose token was revoked, has expired or lost its access, or whose service or
/// tunnel is gone, or has changed between plain bytes and HTTP.
/// Looks at every change of the state, and once a second for expiries. A rotated secret cuts nothing, nor does a jump of the clock at
/// once.
/// </summary>
internal sealed class AccessWithdrawal(
    StateWatcher state, ConnectorRegistry connectors, StreamSet<StreamInfo> streams, StreamSet<RequestInfo> requests, ApplicationCarriers carriers, PostgresPort? postgres,
    TimeProvider time, ILogger<AccessWithdrawal> logger)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly StreamAbort Reason = new(AbortCode.Revoked, "access was withdrawn");

    private readonly ExpiryClock _clock = new(time, logger);

    /// <summary>Watches until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        state.Changed += Enforce;
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                Enforce();
            }
        }
        catch (OperationCanceledException)
        {
            // The ingress stops.
        }
        finally
        {
            state.Changed -= Enforce;
        }
    }

    private void Enforce()
    {
        try
        {
            EnforceNow();
        }
        catch (Exception exception)
        {
            // Whatever one of them did, the others must not be let off, now or at the next look.
            logger.WithdrawalFailed(exception);
        }
    }

    private void EnforceNow()
    {
        var snapshot = state.Current;
        var now = _clock.Look();
        var withdrawn = connectors.All.Where(session => !MayConnect(snapshot, session, now)).ToArray();
        foreach (var session in withdrawn)
        {
            // Its own control loop then cuts its streams and takes it off the books.
            session.Withdraw();
            session.Control.Abort();
        }

        // Connections to origins are shared among callers: what a caller loses is his requests.
        var cut = requests.Abort(info => !MayRun(snapshot, info, now), Reason) + streams.Abort(info => !MayRun(snapshot, info, now), Reason);
        carriers.EndWithdrawn();
        var clients = postgres?.EndWithdrawn(now) ?? 0;
        if (cut > 0 || withdrawn.Length > 0 || clients > 0)
        {
            logger.AccessWithdrawn(
                cut, withdrawn.Length, clients, "a token was revoked, has expired or lost its access, or a service or tunnel was removed or speaks something else now");
        }
    }

    private static bool MayConnect(StateSnapshot snapshot, ConnectorSession session, DateTimeOffset now) =>
        snapshot.Tokens.TryGetValue(session.TokenId, out var token)
        && token.IsUsableAt(now)
        && token.Scope.MayConnect(session.Tunnel)
        && snapshot.Tunnels.ContainsKey(session.Tunnel);

    // Without a token are our own: local listeners, pools and the connections to HTTP services, which carry what others ask for.
    private static bool MayRun(StateSnapshot snapshot, StreamInfo info, DateTimeOffset now) =>
        snapshot.Services.TryGetValue(info.Service, out var service)
        && service.Tunnel == info.Tunnel
        && (info.TokenId is null
            || (service.Web is null && MayAccess(snapshot, info.TokenId, info.Service, now)));

    private static bool MayRun(StateSnapshot snapshot, RequestInfo info, DateTimeOffset now) =>
        snapshot.Services.TryGetValue(info.Service, out var service)
        && service.Web is { } web
        && (web.Access == WebAccess.Public || (info.TokenId is not null && MayAccess(snapshot, info.TokenId, info.Service, now)));

    private static bool MayAccess(StateSnapshot snapshot, string tokenId, string service, DateTimeOffset now) =>
        snapshot.Tokens.TryGetValue(tokenId, out var token) && token.IsUsableAt(now) && token.Scope.MayAccess(service);
}
