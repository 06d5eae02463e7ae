using System.Buffers.Binary;
using System.Text;

namespace Shared.Pooling.Tests.Hostile;

/// <summary>What comes before a login, as bytes.</summary>
internal static class Startup
{
    public const int Ssl = 80877103;
    public const int Gss = 80877104;
    public const int Version = 3 << 16;

    public static byte[] Message(string user, string database, params (string Name, string Value)[] settings) => Packet(
        Version,
        [.. new[] { ("user", user), ("database", database) }.Concat(settings)
            .SelectMany(static pair => new[] { pair.Item1, pair.Item2 }).SelectMany(static text => Encoding.UTF8.GetBytes(text).Append((byte)0)), 0]);

    public static byte[] Packet(int code, params byte[] body) => [.. Header((uint)body.Length + 8, code), .. body];

    /// <summary>Length and code, whether they fit or not.</summary>
    public static byte[] Header(uint length, int code)
    {
        var header = new byte[8];
        BinaryPrimitives.WriteUInt32BigEndian(header, length);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), code);
        return header;
    }
}
