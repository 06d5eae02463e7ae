using System.Buffers;
using Shared.Streams;

namespace Tunnel.Microbench;

/// <summary>The two ends of a round trip.</summary>
internal static class Echo
{
    /// <summary>So many round trips are one invocation, so that what an invocation itself allocates does not show.</summary>
    public const int RoundTrips = 1000;

    /// <summary>Sends back what comes, until the end.</summary>
    public static async Task RunAsync(DuplexStream stream)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
        try
        {
            while (await stream.ReadAsync(buffer) is var count and > 0)
            {
                await stream.WriteAsync(buffer.AsMemory(0, count));
            }
        }
        catch (StreamAbortedException)
        {
            // The end of the benchmark.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    public static async Task AskAsync(DuplexStream stream, byte[] message)
    {
        for (var i = 0; i < RoundTrips; i++)
        {
            await stream.WriteAsync(message);
            for (var missing = message.Length; missing > 0;)
            {
                var count = await stream.ReadAsync(message.AsMemory(message.Length - missing));
                missing -= count > 0 ? count : throw new EndOfStreamException("the echo ended");
            }
        }
    }
}
