using Shared.Streams.Tests.Conformance.Adapters;

namespace Shared.Streams.Tests.Conformance;

/// <summary>A transport under the conformance suite: how to make a pair of it, and what it cannot do.</summary>
public sealed record StreamAdapter(string Name, Func<Task<StreamPair>> CreateAsync)
{
    /// <summary>False where the peer cannot tell an abort from an end: nothing on the wire differs.</summary>
    public bool CarriesAbort { get; init; } = true;

    /// <summary>True where the peer is also told the reason.</summary>
    public bool CarriesReason { get; init; }

    /// <summary>What the half-close tests send; as much as keeps the suite quick.</summary>
    public long LargeTransfer { get; init; } = 8 * Traffic.MiB;

    private static readonly StreamAdapter[] All =
    [
        new("memory", MemoryPairs.CreateAsync) { CarriesReason = true },
        new("tcp", SocketPairs.TcpAsync) { LargeTransfer = 64 * Traffic.MiB },
        new("unix", SocketPairs.UnixAsync) { CarriesAbort = false },
        new("tls over memory", () => TlsPairs.OverAsync(MemoryPairs.CreateAsync)) { CarriesReason = true },
        new("tls over tcp", () => TlsPairs.OverAsync(SocketPairs.TcpAsync)),
        new("ws", () => WebSocketPairs.ChannelAsync("ws")) { CarriesReason = true, LargeTransfer = 64 * Traffic.MiB },
        new("wss", () => WebSocketPairs.ChannelAsync("wss")) { CarriesReason = true },
        new("wss, raw", () => WebSocketPairs.RawAsync("wss")) { CarriesAbort = false },
        new("tls inside ws", () => TlsPairs.OverAsync(() => WebSocketPairs.ChannelAsync("ws"))) { CarriesReason = true },
    ];

    public static TheoryData<string, bool> Names
    {
        get
        {
            var names = new TheoryData<string, bool>();
            foreach (var adapter in All)
            {
                names.Add(adapter.Name, false);
                names.Add(adapter.Name, true);
            }

            return names;
        }
    }

    /// <summary>The adapter of a name.</summary>
    public static StreamAdapter Of(string name) => All.Single(adapter => adapter.Name == name);

    /// <summary>A new pair; swapped, its near end is the one that listened, accepted or served.</summary>
    public async Task<StreamPair> PairAsync(bool swapped)
    {
        var pair = await CreateAsync().InTime();
        return swapped ? pair.Swapped() : pair;
    }
}
