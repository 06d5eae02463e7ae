using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Shared.Streams.Protocol;

/// <summary>
/// Text messages to bytes and back. Strict: an unknown type, a missing field or a wrong kind is an error, never a default.
/// Unknown fields are skipped, so that a newer peer may add some.
/// </summary>
public static class ProtocolCodec
{
    private const int MaxDetail = 500;

    private static readonly End Ended = new();
    private static readonly Opened PlainlyOpened = new();

    /// <summary>The bytes of the end message, which every stream sends.</summary>
    internal static ReadOnlyMemory<byte> EndBytes { get; } = Encode(Ended);

    /// <summary>The bytes that tell that a stream's connector is shutting down.</summary>
    internal static ReadOnlyMemory<byte> LeavingBytes { get; } = Encode(new Leaving());

    /// <summary>The bytes of the answer to each stream that could be opened.</summary>
    internal static ReadOnlyMemory<byte> OpenedBytes { get; } = Encode(PlainlyOpened);

    /// <summary>The bytes of a control message.</summary>
    public static byte[] Encode(ControlMessage message) =>
        JsonSerializer.SerializeToUtf8Bytes(message, ProtocolJson.Default.ControlMessage);

    /// <summary>The bytes of a data channel message.</summary>
    public static byte[] Encode(ChannelMessage message) =>
        JsonSerializer.SerializeToUtf8Bytes(message, ProtocolJson.Default.ChannelMessage);

    /// <summary>The bytes of a message of a carrier's handshake.</summary>
    public static byte[] Encode(CarrierMessage message) =>
        JsonSerializer.SerializeToUtf8Bytes(message, ProtocolJson.Default.CarrierMessage);

    /// <summary>Reads a message of a carrier's handshake.</summary>
    /// <exception cref="ProtocolException">The bytes are no message of this protocol.</exception>
    public static CarrierMessage DecodeCarrier(ReadOnlySpan<byte> utf8) => Decode(utf8, ProtocolJson.Default.CarrierMessage);

    /// <summary>Reads a control message.</summary>
    /// <exception cref="ProtocolException">The bytes are no message of this protocol.</exception>
    public static ControlMessage DecodeControl(ReadOnlySpan<byte> utf8) => Decode(utf8, ProtocolJson.Default.ControlMessage);

    /// <summary>Reads a data channel message.</summary>
    /// <exception cref="ProtocolException">The bytes are no message of this protocol.</exception>
    public static ChannelMessage DecodeChannel(ReadOnlySpan<byte> utf8)
    {
        // What nearly every stream says, in the bytes that this program says it with.
        if (utf8.SequenceEqual(EndBytes.Span))
        {
            return Ended;
        }

        return utf8.SequenceEqual(OpenedBytes.Span) ? PlainlyOpened : Decode(utf8, ProtocolJson.Default.ChannelMessage);
    }

    /// <summary>Text that came from outside or goes into a header, cut to one short line of printable ASCII.</summary>
    public static string OneLine(string? text)
    {
        if (string.IsNullOrEmpty(text))
        {
            return "";
        }

        var length = Math.Min(text.Length, MaxDetail);
        return string.Create(length, text, static (line, source) =>
        {
            for (var i = 0; i < line.Length; i++)
            {
                line[i] = source[i] is >= ' ' and <= '~' ? source[i] : '?';
            }
        });
    }

    private static T Decode<T>(ReadOnlySpan<byte> utf8, JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(utf8, type) ?? throw new ProtocolException("the message is null");
        }
        catch (Exception exception) when (exception is JsonException or NotSupportedException)
        {
            throw new ProtocolException($"not a {typeof(T).Name} of protocol version {TunnelProtocol.Version}", exception);
        }
    }
}

/// <summary>A peer sent something that the protocol does not allow.</summary>
public sealed class ProtocolException : IOException
{
    /// <summary>Creates the exception.</summary>
    public ProtocolException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    AllowOutOfOrderMetadataProperties = true,
    MaxDepth = 8)]
[JsonSerializable(typeof(ControlMessage))]
[JsonSerializable(typeof(ChannelMessage))]
[JsonSerializable(typeof(CarrierMessage))]
internal sealed partial class ProtocolJson : JsonSerializerContext;
