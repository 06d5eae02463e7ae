using System.Security.Cryptography;

namespace Shared.Streams.Tests;

/// <summary>Random bytes in random pieces, and their digest at both ends.</summary>
internal static class Traffic
{
    public const int KiB = 1024;
    public const int MiB = 1024 * KiB;

    /// <summary>Writes bytes in pieces of 1 byte to 1 MiB, small ones as likely as large ones; returns their digest.</summary>
    public static async Task<string> WriteRandomAsync(this DuplexStream stream, long bytes, int seed)
    {
        var random = new Random(seed);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var source = new byte[MiB];
        random.NextBytes(source);
        while (bytes > 0)
        {
            var count = (int)Math.Min(bytes, 1 << random.Next(21));
            var piece = source.AsMemory(random.Next(source.Length - count + 1), count);
            hash.AppendData(piece.Span);
            await stream.WriteAsync(piece).InTime();
            bytes -= count;
        }

        return Convert.ToHexString(hash.GetHashAndReset());
    }

    public static async Task<string> WriteRandomAndEndAsync(this DuplexStream stream, long bytes, int seed)
    {
        var digest = await stream.WriteRandomAsync(bytes, seed);
        await stream.CompleteWritesAsync().InTime();
        return digest;
    }

    /// <summary>Reads to the end with buffers of random sizes; returns the digest and the count.</summary>
    public static async Task<(string Digest, long Bytes)> ReadToEndAsync(this DuplexStream stream, int seed = 0)
    {
        var random = new Random(seed);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[MiB];
        long bytes = 0;
        while (true)
        {
            if (random.Next(4) == 0)
            {
                await stream.ReadAsync(Memory<byte>.Empty).InTime();
            }

            var count = await stream.ReadAsync(buffer.AsMemory(0, 1 << random.Next(6, 21))).InTime();
            if (count == 0)
            {
                return (Convert.ToHexString(hash.GetHashAndReset()), bytes);
            }

            hash.AppendData(buffer, 0, count);
            bytes += count;
        }
    }

    /// <summary>Reads exactly so many bytes, or fewer if the end comes first.</summary>
    public static async Task<byte[]> ReadBytesAsync(this DuplexStream stream, int count)
    {
        var buffer = new byte[count];
        var have = 0;
        while (have < count)
        {
            var read = await stream.ReadAsync(buffer.AsMemory(have)).InTime();
            if (read == 0)
            {
                break;
            }

            have += read;
        }

        return buffer[..have];
    }

    /// <summary>Writes until nothing moves any more because the peer does not read; returns the write that is stuck and how much went before it.</summary>
    public static async Task<(Task Stuck, long Bytes)> FillAsync(this DuplexStream stream, long atMost, CancellationToken cancellationToken = default)
    {
        var chunk = new byte[64 * KiB];
        long bytes = 0;
        while (bytes < atMost)
        {
            var write = stream.WriteAsync(chunk, cancellationToken).AsTask();

            // A write that is slow and not stuck only makes the test see less than it could.
            if (await Task.WhenAny(write, Task.Delay(300, CancellationToken.None)) != write)
            {
                return (write, bytes);
            }

            await write;
            bytes += chunk.Length;
        }

        return (Task.CompletedTask, bytes);
    }
}
