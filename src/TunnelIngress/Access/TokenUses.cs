using System.Collections.Concurrent;
using System.Net;
using Shared.Streams.Sockets;
using TunnelIngress.State;

namespace TunnelIngress.Access;

/// <summary>
/// When and from where each secret was last used, in memory until <see cref="TokenUseRecorder"/> writes it. Safe for concurrent use; noting takes
/// no lock, and allocates once a second for each secret at most.
/// </summary>
internal sealed class TokenUses
{
    private const string NoAddress = "unix";
    private static readonly TimeSpan Resolution = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<(string ClientId, int Version), Slot> _slots = new();

    /// <summary>Of how many secrets something is known.</summary>
    public int Count => _slots.Count;

    /// <summary>A secret was accepted. Of several uses within a second the first one counts.</summary>
    /// <param name="clientId">The token.</param>
    /// <param name="version">Its secret's version.</param>
    /// <param name="from">Who has shown it; null for a Unix socket.</param>
    /// <param name="now">When.</param>
    public void Note(string clientId, int version, IPAddress? from, DateTimeOffset now)
    {
        var slot = _slots.GetOrAdd((clientId, version), static _ => new Slot());
        if (slot.Last is not { } last || (now - last.At).Duration() >= Resolution)
        {
            slot.Last = new Use(now, from);
        }
    }

    /// <summary>What has been noted and not been written yet. One caller at a time, as of <see cref="Written"/>.</summary>
    public IReadOnlyList<TokenUse> Unwritten()
    {
        var uses = new List<TokenUse>();
        foreach (var ((clientId, version), slot) in _slots)
        {
            if (slot.Last is { } last && last != slot.Written)
            {
                slot.Writing = last;
                uses.Add(new TokenUse(clientId, version, last.At, Text(last.From)));
            }
        }

        return uses;
    }

    /// <summary>What <see cref="Unwritten"/> has told is written. Secrets that are not in the state any more are forgotten.</summary>
    public void Written(StateSnapshot state)
    {
        foreach (var (secret, slot) in _slots)
        {
            slot.Written = slot.Writing;
            if (!state.Tokens.TryGetValue(secret.ClientId, out var token) || !token.Secrets.Any(known => known.Version == secret.Version))
            {
                _slots.TryRemove(secret, out _);
            }
        }
    }

    private static string Text(IPAddress? address) =>
        address is null ? NoAddress : RemoteNetwork.Unmapped(address).ToString();

    private sealed record Use(DateTimeOffset At, IPAddress? From);

    private sealed class Slot
    {
        private volatile Use? _last;

        public Use? Last
        {
            get => _last;
            set => _last = value;
        }

        public Use? Writing { get; set; }

        public Use? Written { get; set; }
    }
}
