using Shared.Streams;
using Shared.Streams.Protocol;
using TunnelIngress.State;

namespace TunnelIngress.Connectors;

/// <summary>
/// Takes a connector's announcements and tells it which of the services get no streams, at registration and whenever the state or an announcement
/// changes the answer. Routing itself asks the state at each stream, so what is told is for people, not for safety.
/// </summary>
/// <remarks>However often it announces, the newest announcement is taken once a second.</remarks>
internal sealed class Announcements(ConnectorSession session, StateWatcher state, TimeProvider time, ILogger logger)
{
    /// <summary>So many names and reasons are a message of the control channel, whatever the names are.</summary>
    private const int MaxTold = 50;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    // One answer for "does not exist" and "belongs to another tunnel": a connector learns nothing of other tunnels.
    private readonly string _notOwned = $"Tunnel {session.Tunnel} has no service of this name; add it with 'tunnel-ingress service add'.";

    private readonly Signal _check = new();
    private IReadOnlyList<string>? _announced;
    private IReadOnlyList<RejectedService> _told = [];

    /// <summary>The connector serves these from now on.</summary>
    public void Take(IReadOnlyList<string> services)
    {
        Volatile.Write(ref _announced, services);
        Check();
    }

    /// <summary>Takes, looks and tells until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        state.Changed += Check;
        Check();
        try
        {
            while (true)
            {
                await _check.WaitAsync(cancellationToken);
                if (Interlocked.Exchange(ref _announced, null) is { } announced)
                {
                    session.Announce(announced);
                }

                await TellAsync(cancellationToken);
                await Task.Delay(Interval, time, cancellationToken);
            }
        }
        finally
        {
            state.Changed -= Check;
        }
    }

    private void Check() => _check.Set();

    private async Task TellAsync(CancellationToken cancellationToken)
    {
        RejectedService[] rejected =
        [
            .. session.Misnamed.Select(ProtocolCodec.OneLine).Select(static name => new RejectedService(name, PlainName.FaultOf("service", name)!)),
            .. session.Services.Where(IsNotOwned).Order(StringComparer.Ordinal).Select(name => new RejectedService(name, _notOwned)),
        ];
        if (rejected.SequenceEqual(_told))
        {
            return;
        }

        _told = rejected;
        if (rejected is [var first, ..])
        {
            logger.ServicesRejected(session.Connector, session.Tunnel, rejected.Length, first.Service, first.Reason);
        }

        await session.Control.SendAsync(new ServicesRejected([.. rejected.Take(MaxTold)]), cancellationToken);
    }

    private bool IsNotOwned(string name) => !state.Current.Services.TryGetValue(name, out var service) || service.Tunnel != session.Tunnel;
}
