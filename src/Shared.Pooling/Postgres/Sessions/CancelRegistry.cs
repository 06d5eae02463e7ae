using System.Collections.Concurrent;
using System.Security.Cryptography;
using Shared.Pooling.Postgres.Clients;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// The keys that clients were given, so that whoever shows one cancels exactly that client's query. Safe for concurrent use.
/// </summary>
internal sealed class CancelRegistry
{
    /// <summary>As long as protocol 3.0 knows them, in bytes.</summary>
    private const int ShortKey = 4;

    /// <summary>As long as PostgreSQL 18 makes them, in bytes.</summary>
    private const int LongKey = 32;

    private readonly ConcurrentDictionary<int, (byte[] Key, Func<CancellationToken, Task>? Cancel)> _clients = new();

    /// <summary>Makes up a process id that no client has, and its key.</summary>
    /// <param name="minor">The protocol's minor version: 3.2 knows longer keys.</param>
    public (int Id, byte[] Key) Reserve(int minor)
    {
        var key = RandomNumberGenerator.GetBytes(minor >= 2 ? LongKey : ShortKey);
        while (true)
        {
            var id = RandomNumberGenerator.GetInt32(1, int.MaxValue);
            if (_clients.TryAdd(id, (key, null)))
            {
                return (id, key);
            }
        }
    }

    /// <summary>From now on the key cancels this client's queries.</summary>
    /// <param name="id">The process id that was made up.</param>
    /// <param name="key">Its key.</param>
    /// <param name="cancel">Cancels what runs.</param>
    public void Assign(int id, byte[] key, Func<CancellationToken, Task> cancel) => _clients[id] = (key, cancel);

    /// <summary>The key is worth nothing any more.</summary>
    public void Release(int id) => _clients.TryRemove(id, out _);

    /// <summary>Cancels what runs for the client whose key this is; nothing happens, and nobody learns it, when it is nobody's.</summary>
    public Task CancelAsync(CancelRequest request, CancellationToken cancellationToken) =>
        _clients.TryGetValue(request.ProcessId, out var entry) && entry.Cancel is { } cancel && CryptographicOperations.FixedTimeEquals(entry.Key, request.Key)
            ? cancel(cancellationToken)
            : Task.CompletedTask;
}
