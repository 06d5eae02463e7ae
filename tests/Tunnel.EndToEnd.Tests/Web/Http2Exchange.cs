using System.Buffers.Binary;
using System.Text;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>One request in HTTP/2 whose authority is not the connection's name: no client library sends that. RFC 9113.</summary>
internal static class Http2Exchange
{
    private const byte Headers = 1;
    private const byte EndStreamAndHeaders = 5;

    /// <summary>The status of the answer.</summary>
    public static async Task<string> StatusOfAsync(Stream connection, string authority, string path, CancellationToken cancellationToken)
    {
        await connection.WriteAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray(), cancellationToken);
        await connection.WriteAsync(Frame(4, 0, 0, []), cancellationToken);
        byte[] block = [.. Literal(":method", "GET"), .. Literal(":scheme", "https"), .. Literal(":authority", authority), .. Literal(":path", path)];
        await connection.WriteAsync(Frame(Headers, EndStreamAndHeaders, 1, block), cancellationToken);
        var head = new byte[9];
        while (true)
        {
            await connection.ReadExactlyAsync(head, cancellationToken);
            var body = new byte[(head[0] << 16) | (head[1] << 8) | head[2]];
            await connection.ReadExactlyAsync(body, cancellationToken);
            if (head[3] == Headers)
            {
                return Status(body);
            }
        }
    }

    private static byte[] Frame(byte type, byte flags, int stream, byte[] body)
    {
        var frame = new byte[9 + body.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, body.Length << 8);
        (frame[3], frame[4]) = (type, flags);
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        body.CopyTo(frame, 9);
        return frame;
    }

    // A literal without indexing and without Huffman coding (RFC 7541 section 6.2.2); all of ours are short.
    private static byte[] Literal(string name, string value) => [0, (byte)name.Length, .. Encoding.ASCII.GetBytes(name), (byte)value.Length, .. Encoding.ASCII.GetBytes(value)];

    // The status comes first: one of the static table's entries 8 to 14, or a literal with one of their names (RFC 7541 appendix A).
    private static string Status(byte[] block)
    {
        var at = 0;
        while ((block[at] & 0xe0) == 0x20)
        {
            at++;
        }

        string[] known = ["200", "204", "206", "304", "400", "404", "500"];
        var index = block[at] & 0x7f;
        return (block[at] & 0x80) != 0 ? known[index - 8] : Encoding.ASCII.GetString(block, at + 2, 3);
    }
}
