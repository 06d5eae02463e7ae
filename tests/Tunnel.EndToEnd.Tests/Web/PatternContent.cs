using System.Buffers.Binary;
using System.Net;
using System.Security.Cryptography;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>A body of any length that repeats nowhere and is never in memory as a whole.</summary>
internal sealed class PatternContent(long length, bool isChunked = false) : HttpContent
{
    private const int Block = 1 << 20;

    private readonly byte[] _block = RandomNumberGenerator.GetBytes(Block);
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <summary>The hash of what was sent.</summary>
    public string Hash() => Convert.ToHexString(_hash.GetHashAndReset());

    /// <summary>Writes the body.</summary>
    public async Task WriteToAsync(Stream stream, CancellationToken cancellationToken)
    {
        for (long sent = 0; sent < length;)
        {
            BinaryPrimitives.WriteInt64LittleEndian(_block, sent);
            var part = _block.AsMemory(0, (int)Math.Min(Block, length - sent));
            _hash.AppendData(part.Span);
            await stream.WriteAsync(part, cancellationToken);
            sent += part.Length;
        }
    }

    /// <summary>The hash of what a stream holds, and how much that is.</summary>
    public static async Task<(long Length, string Hash)> HashAsync(Stream stream, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[256 * 1024];
        long length = 0;
        while (await stream.ReadAsync(buffer, cancellationToken) is > 0 and var count)
        {
            hash.AppendData(buffer, 0, count);
            length += count;
        }

        return (length, Convert.ToHexString(hash.GetHashAndReset()));
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => WriteToAsync(stream, CancellationToken.None);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) => WriteToAsync(stream, cancellationToken);

    protected override bool TryComputeLength(out long computed)
    {
        computed = length;
        return !isChunked;
    }

    protected override void Dispose(bool disposing)
    {
        _hash.Dispose();
        base.Dispose(disposing);
    }
}
