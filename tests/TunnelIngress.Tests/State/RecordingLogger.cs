using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace TunnelIngress.Tests.State;

/// <summary>Keeps what was logged, and tells when an event was.</summary>
internal sealed class RecordingLogger<T> : ILogger<T>
{
    private readonly ConcurrentDictionary<string, SemaphoreSlim> _events = new(StringComparer.Ordinal);

    public ConcurrentQueue<(string Event, string Message)> Entries { get; } = new();

    public int Count(string eventName) => Entries.Count(entry => entry.Event == eventName);

    /// <summary>Waits for the next one that was not waited for yet.</summary>
    public async Task WaitForAsync(string eventName) =>
        Assert.True(await Signal(eventName).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken), $"{eventName} was not logged");

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        Entries.Enqueue((eventId.Name ?? "", formatter(state, exception)));
        Signal(eventId.Name ?? "").Release();
    }

    private SemaphoreSlim Signal(string eventName) => _events.GetOrAdd(eventName, static _ => new SemaphoreSlim(0));
}
