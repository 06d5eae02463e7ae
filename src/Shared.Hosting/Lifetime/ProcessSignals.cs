using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Shared.Streams;

namespace Shared.Hosting.Lifetime;

/// <summary>
/// The signals of a service process: SIGTERM and SIGINT ask for a drain, a second one for an end at once, SIGHUP for a reload.
/// </summary>
public sealed class ProcessSignals : IDisposable
{
    private readonly CancellationTokenSource _drain = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Signal _reload = new();
    private readonly PosixSignalRegistration[] _registrations;
    private readonly bool _ignoresReload;

    /// <summary>Registers the handlers; from here on the process ends only by its own doing.</summary>
    public ProcessSignals()
    {
        // A signal that a process ignores from its start on stays ignored whatever the runtime registers.
        _ignoresReload = IgnoredSignals.ContainHangup();
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnEnd),
            PosixSignalRegistration.Create(PosixSignal.SIGINT, OnEnd),
            PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnReload),
        ];
    }

    /// <summary>Cancelled by the first SIGTERM or SIGINT.</summary>
    public CancellationToken Drain => _drain.Token;

    /// <summary>Cancelled by the second one: the grace time is over now.</summary>
    public CancellationToken Stop => _stop.Token;

    /// <summary>Waits for the first SIGTERM or SIGINT; reloads at each SIGHUP until then, one after the other.</summary>
    /// <param name="onReload">Reads the configuration anew.</param>
    /// <param name="logger">Told when no SIGHUP will come.</param>
    public async Task WaitForDrainAsync(Action onReload, ILogger logger)
    {
        if (_ignoresReload)
        {
            logger.ReloadIgnored();
        }

        try
        {
            while (true)
            {
                await _reload.WaitAsync(_drain.Token);
                onReload();
            }
        }
        catch (OperationCanceledException) when (_drain.IsCancellationRequested)
        {
            // Asked to end.
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }

        _drain.Dispose();
        _stop.Dispose();
    }

    private void OnEnd(PosixSignalContext context)
    {
        context.Cancel = true;
        if (_drain.IsCancellationRequested)
        {
            _stop.Cancel();
        }
        else
        {
            _drain.Cancel();
        }
    }

    private void OnReload(PosixSignalContext context)
    {
        context.Cancel = true;
        _reload.Set();
    }
}
