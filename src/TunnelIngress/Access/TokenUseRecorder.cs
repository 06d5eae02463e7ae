using Shared.Streams.Relaying;
using Shared.Streams.Sockets;
using TunnelIngress.Carriers;
using TunnelIngress.Connectors;
using TunnelIngress.Pools;
using TunnelIngress.State;
using TunnelIngress.Streams;
using TunnelIngress.Web;

namespace TunnelIngress.Access;

/// <summary>
/// Writes the last uses of tokens into the state, once a minute and at the end. A connector that is registered, and a stream, request or PostgreSQL
/// client that runs, uses its token for as long as it does. What a crash loses is the last minute.
/// </summary>
internal sealed class TokenUseRecorder(
    TokenUses uses, IStateStore store, StateWatcher state, ConnectorRegistry connectors, StreamSet<StreamInfo> streams, StreamSet<RequestInfo> requests,
    ApplicationCarriers carriers, PostgresPort? postgres, TimeProvider time, ILogger<TokenUseRecorder> logger)
{
    public static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    private bool _failing;

    /// <summary>Writes until cancelled, and once more then.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                NoteWhatRuns();
                await WriteAsync();
            }
        }
        catch (OperationCanceledException)
        {
            // The ingress stops.
        }

        await WriteAsync();
    }

    private void NoteWhatRuns()
    {
        var now = time.GetUtcNow();
        foreach (var session in connectors.All)
        {
            uses.Note(session.TokenId, session.SecretVersion, RemoteNetwork.AddressOf(session.From), now);
        }

        foreach (var stream in streams.Infos)
        {
            if (stream.TokenId is { } id)
            {
                uses.Note(id, stream.SecretVersion, RemoteNetwork.AddressOf(stream.From), now);
            }
        }

        foreach (var request in requests.Infos)
        {
            if (request.TokenId is { } id)
            {
                uses.Note(id, request.SecretVersion, request.From, now);
            }
        }

        carriers.NoteUses(now);
        postgres?.NoteUses(now);
    }

    /// <summary>What cannot be written now is written a minute later. Its time limit is the store's.</summary>
    private async Task WriteAsync()
    {
        try
        {
            if (uses.Unwritten() is { Count: > 0 } unwritten)
            {
                await store.RecordUsesAsync(unwritten, time.GetUtcNow(), CancellationToken.None);
                uses.Written(state.Current);
            }

            _failing = false;
        }
        catch (Exception exception)
        {
            // Whatever it was, those who use tokens must not notice. Told once per outage.
            if (!_failing)
            {
                _failing = true;
                logger.TokenUsesNotWritten(exception.Message);
            }
        }
    }
}
