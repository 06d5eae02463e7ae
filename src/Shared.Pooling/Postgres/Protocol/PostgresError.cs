using System.Text;

namespace Shared.Pooling.Postgres.Protocol;

/// <summary>An ErrorResponse or NoticeResponse. Source: PostgreSQL documentation, "Error and Notice Message Fields".</summary>
/// <param name="Severity">ERROR, FATAL, PANIC, WARNING … never translated.</param>
/// <param name="Code">The SQLSTATE.</param>
/// <param name="Message">For people.</param>
internal sealed record PostgresError(string Severity, string Code, string Message)
{
    public string? Detail { get; init; }

    public string? Hint { get; init; }

    /// <summary>True when the server ends the connection with it.</summary>
    public bool IsFatal => Severity is "FATAL" or "PANIC";

    public static PostgresError Error(string code, string message) => new("ERROR", code, message);

    public static PostgresError Fatal(string code, string message) => new("FATAL", code, message);

    /// <summary>Reads the fields of a message's body. Missing fields are empty: a hostile server may leave out any (CVE-2026-6666).</summary>
    /// <exception cref="ProtocolViolationException">The body is malformed.</exception>
    public static PostgresError Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        string? severity = null, code = null, message = null, detail = null, hint = null;
        for (var field = reader.Byte(); field != 0; field = reader.Byte())
        {
            var text = Encoding.UTF8.GetString(reader.CString());
            switch (field)
            {
                case (byte)'V':
                    severity = text;
                    break;
                case (byte)'S':
                    severity ??= text;
                    break;
                case (byte)'C':
                    code = text;
                    break;
                case (byte)'M':
                    message = text;
                    break;
                case (byte)'D':
                    detail = text;
                    break;
                case (byte)'H':
                    hint = text;
                    break;
                default:
                    break;
            }
        }

        return new PostgresError(severity ?? "ERROR", code ?? SqlState.InternalError, message ?? "the server gave no message") { Detail = detail, Hint = hint };
    }

    /// <summary>What a message's body says of itself, without reading all of it.</summary>
    /// <returns>Whether the server ends the connection with it, and whether it has a code, as every error must.</returns>
    public static (bool IsFatal, bool HasCode) Peek(ReadOnlySpan<byte> body)
    {
        var (fatal, code) = (false, false);
        for (var end = body.IndexOf((byte)0); end > 0; end = body.IndexOf((byte)0))
        {
            var value = body[1..end];
            fatal |= body[0] is (byte)'S' or (byte)'V' && (value.SequenceEqual("FATAL"u8) || value.SequenceEqual("PANIC"u8));
            code |= body[0] == 'C' && value.Length == SqlState.Length;
            body = body[(end + 1)..];
        }

        return (fatal, code);
    }

    /// <summary>Writes it as an ErrorResponse.</summary>
    public void Write(MessageWriter writer) => Write(writer, BackendMessage.ErrorResponse);

    /// <summary>Writes it as a NoticeResponse.</summary>
    public void WriteNotice(MessageWriter writer) => Write(writer, BackendMessage.NoticeResponse);

    private void Write(MessageWriter writer, byte type)
    {
        writer.Begin(type);
        Field(writer, 'S', Severity);
        Field(writer, 'V', Severity);
        Field(writer, 'C', Code);
        Field(writer, 'M', Message);
        Field(writer, 'D', Detail);
        Field(writer, 'H', Hint);
        writer.Byte(0).End();
    }

    private static void Field(MessageWriter writer, char type, string? value)
    {
        if (value is not null)
        {
            writer.Byte((byte)type).CString(value.Replace('\0', ' '));
        }
    }
}
