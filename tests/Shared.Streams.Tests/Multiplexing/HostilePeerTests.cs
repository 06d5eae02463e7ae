using System.Buffers.Binary;
using Shared.Streams.Memory;
using Shared.Streams.Multiplexing;
using Shared.Streams.Protocol;

namespace Shared.Streams.Tests.Multiplexing;

/// <summary>A peer that breaks the rules of a carrier loses it, and nothing else happens.</summary>
public sealed class HostilePeerTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly byte[] Window = new byte[64 * 1024];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string> BadAtAcceptor => new(
        "unknown type", "type zero", "data without bytes", "data over the limit", "data of the carrier", "data of no stream", "credit of no stream",
        "credit too short", "credit of nothing", "ping of a stream", "ping too long", "message over the limit", "message of no stream", "garbage for a message",
        "open again", "open backwards", "opened", "refused", "late handshake", "data beyond the credit", "data after the end", "second end",
        "too much credit", "drain", "drain with a body", "ends within a header", "ends within a message");

    [Theory]
    [MemberData(nameof(BadAtAcceptor))]
    public async Task Peer_that_breaks_the_rules_loses_the_carrier(string fault)
    {
        var (peer, ours) = MemoryDuplexStream.CreatePair();
        var accepted = new List<IncomingStream>();
        var multiplexer = new Multiplexer(ours, TimeProvider.System, accepted.Add);
        var running = multiplexer.RunAsync();
        var swallowing = SwallowAsync(peer);

        // A good stream first, so that the fault meets a carrier in use.
        await SendAsync(peer, Frame(2, FrameType.Message, ProtocolCodec.Encode(new Open("id", "service"))));
        await SendFaultAsync(peer, fault);

        var ended = await Record.ExceptionAsync(() => running.WaitAsync(Patience, Cancelled));
        var stream = await Assert.Single(accepted).AcceptAsync(Cancelled);
        var lost = await Assert.ThrowsAsync<StreamAbortedException>(() => ReadToEndAsync(stream).WaitAsync(Patience, Cancelled));
        await swallowing.WaitAsync(Patience, Cancelled);

        if (!fault.StartsWith("ends", StringComparison.Ordinal))
        {
            Assert.IsType<ProtocolException>(ended);
        }

        Assert.Equal(AbortCode.ConnectionLost, lost.Reason.Code);
        Assert.Equal(0, multiplexer.StreamCount);
        Assert.False(multiplexer.TakesStreams);
        await peer.DisposeAsync();
    }

    [Theory]
    [InlineData("open")]
    [InlineData("second answer")]
    [InlineData("answer to nothing")]
    public async Task Peer_that_answers_wrongly_loses_the_carrier(string fault)
    {
        var (peer, ours) = MemoryDuplexStream.CreatePair();
        var multiplexer = new Multiplexer(ours, TimeProvider.System);
        var running = multiplexer.RunAsync();
        var swallowing = SwallowAsync(peer);
        var stream = multiplexer.Open(new Open("id", "service"));

        await SendAsync(peer, fault switch
        {
            "open" => Frame(2, FrameType.Message, ProtocolCodec.Encode(new Open("id", "service"))),
            "answer to nothing" => Frame(7, FrameType.Message, ProtocolCodec.OpenedBytes.ToArray()),
            _ => [.. Frame(1, FrameType.Message, ProtocolCodec.OpenedBytes.ToArray()), .. Frame(1, FrameType.Message, ProtocolCodec.OpenedBytes.ToArray())],
        });

        await Assert.ThrowsAsync<ProtocolException>(() => running.WaitAsync(Patience, Cancelled));
        await Assert.ThrowsAsync<StreamAbortedException>(() => ReadToEndAsync(stream).WaitAsync(Patience, Cancelled));
        await Assert.ThrowsAsync<StreamNotTakenException>(() => Task.FromResult(multiplexer.Open(new Open("id", "service"))));
        await swallowing.WaitAsync(Patience, Cancelled);
        await peer.DisposeAsync();
    }

    [Fact]
    public async Task Random_bytes_end_the_carrier_and_nothing_else()
    {
        for (var seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var (peer, ours) = MemoryDuplexStream.CreatePair();
            var running = new Multiplexer(ours, TimeProvider.System, static incoming => { }).RunAsync();
            var swallowing = SwallowAsync(peer);
            var bytes = new byte[random.Next(1, 2000)];
            random.NextBytes(bytes);

            // Half of them begin as a carrier does.
            byte[] all = seed % 2 == 0 ? bytes : [.. Frame(1, FrameType.Message, ProtocolCodec.Encode(new Open("id", "service"))), .. bytes];
            await SendAsync(peer, all);
            await Record.ExceptionAsync(async () => await peer.CompleteWritesAsync(Cancelled));

            var ended = await Record.ExceptionAsync(() => running.WaitAsync(Patience, Cancelled));
            Assert.True(ended is null or IOException, $"seed {seed}: {ended}");
            await swallowing.WaitAsync(Patience, Cancelled);
            await peer.DisposeAsync();
        }
    }

    [Fact]
    public async Task Peer_that_takes_nothing_but_asks_and_asks_is_given_up()
    {
        var (peer, ours) = MemoryDuplexStream.CreatePair();
        var running = new Multiplexer(ours, TimeProvider.System, static incoming => { }).RunAsync();
        var ping = Frame(0, FrameType.Ping, new byte[8]);
        byte[] pings = [.. Enumerable.Repeat(ping, 1000).SelectMany(static bytes => bytes)];

        await Record.ExceptionAsync(async () =>
        {
            while (true)
            {
                await peer.WriteAsync(pings, Cancelled);
            }
        });

        await Assert.ThrowsAnyAsync<IOException>(() => running.WaitAsync(Patience, Cancelled));
        await peer.DisposeAsync();
    }

    private static async Task SendFaultAsync(DuplexStream peer, string fault)
    {
        switch (fault)
        {
            case "unknown type": await SendAsync(peer, Frame(2, (FrameType)99, [1])); break;
            case "type zero": await SendAsync(peer, new byte[8]); break;
            case "data without bytes": await SendAsync(peer, Frame(2, FrameType.Data, [])); break;
            case "data over the limit": await SendAsync(peer, Frame(2, FrameType.Data, new byte[TunnelProtocol.MaxPayload + 1])); break;
            case "data of the carrier": await SendAsync(peer, Frame(0, FrameType.Data, [1])); break;
            case "data of no stream": await SendAsync(peer, Frame(3, FrameType.Data, [1])); break;
            case "credit of no stream": await SendAsync(peer, Frame(3, FrameType.Credit, [0, 0, 0, 1])); break;
            case "credit too short": await SendAsync(peer, Frame(2, FrameType.Credit, [0, 0, 1])); break;
            case "credit of nothing": await SendAsync(peer, Frame(2, FrameType.Credit, [0, 0, 0, 0])); break;
            case "ping of a stream": await SendAsync(peer, Frame(2, FrameType.Ping, new byte[8])); break;
            case "ping too long": await SendAsync(peer, Frame(0, FrameType.Ping, new byte[9])); break;
            case "message over the limit": await SendAsync(peer, Frame(2, FrameType.Message, new byte[TunnelProtocol.MaxChannelMessage + 1])); break;
            case "message of no stream": await SendAsync(peer, Frame(3, FrameType.Message, ProtocolCodec.EndBytes.ToArray())); break;
            case "garbage for a message": await SendAsync(peer, Frame(2, FrameType.Message, "{]"u8)); break;
            case "open again": await SendAsync(peer, Frame(2, FrameType.Message, ProtocolCodec.Encode(new Open("id", "service")))); break;
            case "open backwards": await SendAsync(peer, Frame(1, FrameType.Message, ProtocolCodec.Encode(new Open("id", "service")))); break;
            case "opened": await SendAsync(peer, Frame(2, FrameType.Message, ProtocolCodec.OpenedBytes.ToArray())); break;
            case "refused": await SendAsync(peer, Frame(2, FrameType.Message, ProtocolCodec.Encode(new Refused("code", "message")))); break;
            case "drain": await SendAsync(peer, Frame(2, FrameType.Drain, [])); break;
            case "drain with a body": await SendAsync(peer, Frame(2, FrameType.Drain, [1])); break;
            case "late handshake": await SendAsync(peer, Frame(0, FrameType.Handshake, ProtocolCodec.Encode(new Join("id", "secret", "session")))); break;
            case "data beyond the credit":
                for (var i = 0; i < ReceiveWindow.Initial / Window.Length; i++)
                {
                    await SendAsync(peer, Frame(2, FrameType.Data, Window));
                }

                await SendAsync(peer, Frame(2, FrameType.Data, [1]));
                break;
            case "data after the end":
                await SendAsync(peer, Frame(2, FrameType.Message, ProtocolCodec.EndBytes.ToArray()));
                await SendAsync(peer, Frame(2, FrameType.Data, [1]));
                break;
            case "second end":
                await SendAsync(peer, Frame(2, FrameType.Message, ProtocolCodec.EndBytes.ToArray()));
                await SendAsync(peer, Frame(2, FrameType.Message, ProtocolCodec.EndBytes.ToArray()));
                break;
            case "too much credit":
                await SendAsync(peer, Frame(2, FrameType.Credit, [0x7F, 0xFF, 0xFF, 0xFF]));
                break;
            case "ends within a header":
                await SendAsync(peer, [0, 0, 0, 2, 1]);
                await peer.CompleteWritesAsync(Cancelled);
                break;
            case "ends within a message":
                await SendAsync(peer, Frame(2, FrameType.Message, ProtocolCodec.EndBytes.ToArray())[..^3]);
                await peer.CompleteWritesAsync(Cancelled);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(fault), fault, null);
        }
    }

    private static byte[] Frame(uint stream, FrameType type, ReadOnlySpan<byte> body)
    {
        var frame = new byte[FrameHeader.Size + body.Length];
        BinaryPrimitives.WriteUInt32BigEndian(frame, stream);
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(4), ((uint)type << 24) | (uint)body.Length);
        body.CopyTo(frame.AsSpan(FrameHeader.Size));
        return frame;
    }

    /// <summary>Writes what the other side may have cut already.</summary>
    private static async Task SendAsync(DuplexStream peer, byte[] bytes) => await Record.ExceptionAsync(async () => await peer.WriteAsync(bytes, Cancelled));

    private static async Task SwallowAsync(DuplexStream peer) => await Record.ExceptionAsync(() => ReadToEndAsync(peer));

    private static async Task ReadToEndAsync(DuplexStream stream)
    {
        var buffer = new byte[64 * 1024];
        while (await stream.ReadAsync(buffer, Cancelled) > 0)
        {
        }
    }
}
