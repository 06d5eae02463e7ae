using Shared.Pooling.Postgres.Protocol;
using Shared.Streams;

namespace Shared.Pooling.Postgres.Origins;

/// <summary>A connection to an origin that is logged in and idle.</summary>
internal sealed class OriginConnection(
    OriginConnector connector, MessageReader reader, IReadOnlyDictionary<string, string> parameters, int processId, byte[] cancelKey) : IAsyncDisposable
{
    /// <summary>What has opened it, and can cancel what runs on it.</summary>
    public OriginConnector Connector { get; } = connector;

    /// <summary>Its incoming side.</summary>
    public MessageReader Reader { get; } = reader;

    /// <summary>The connection itself.</summary>
    public DuplexStream Stream => Reader.Stream;

    /// <summary>What the server reported at login.</summary>
    public IReadOnlyDictionary<string, string> Parameters { get; } = parameters;

    /// <summary>The server's process id.</summary>
    public int ProcessId { get; } = processId;

    /// <summary>What a cancel request needs; 4 to 256 bytes.</summary>
    public byte[] CancelKey { get; } = cancelKey;

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => Stream.DisposeAsync();
}
