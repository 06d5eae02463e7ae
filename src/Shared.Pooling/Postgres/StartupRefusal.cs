using System.Buffers.Binary;
using System.Text;
using Shared.Streams;
using Shared.Streams.Dialing;

namespace Shared.Pooling.Postgres;

/// <summary>
/// Tells an application that could not be given a stream why, in its own language: if what it says first is PostgreSQL's startup,
/// it gets an ErrorResponse instead of a dropped connection.
/// </summary>
/// <remarks>Source: PostgreSQL documentation, "Message Formats" (StartupMessage, SSLRequest, GSSENCRequest, ErrorResponse).</remarks>
public static class StartupRefusal
{
    private const int SslRequest = 80877103;
    private const int GssEncryptionRequest = 80877104;
    private const int ProtocolMajor = 3;
    private const int MaxStartupLength = 10_000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Answers and closes; an application that speaks something else, or nothing within 5 s, is reset. Takes over the stream.
    /// </summary>
    public static async Task AnswerAsync(
        DuplexStream application, DialException failure, TimeProvider time, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(Patience, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            if (await SkipStartupAsync(application, limit.Token))
            {
                await application.WriteAsync(ErrorResponse(failure), limit.Token);
                await application.CompleteWritesAsync(limit.Token);
                await DrainAsync(application, limit.Token);
            }
        }
        catch (Exception exception) when (exception is StreamAbortedException or OperationCanceledException)
        {
            // The application has left or says nothing: the reset below is all it can still get.
        }
        finally
        {
            application.Abort(new StreamAbort(AbortCode.Reset, failure.Code));
            await application.DisposeAsync();
        }
    }

    /// <summary>Where it failed, for an application.</summary>
    internal static string DetailOf(DialException failure) => $"The connection failed at hop {failure.Hop.ToWire()} ({failure.Code}).";

    /// <summary>The bytes of the ErrorResponse for a failure to reach the database.</summary>
    internal static byte[] ErrorResponse(DialException failure)
    {
        var body = new MemoryStream();
        void Field(char type, string value)
        {
            body.WriteByte((byte)type);
            body.Write(Encoding.UTF8.GetBytes(value.Replace('\0', ' ')));
            body.WriteByte(0);
        }

        Field('S', "FATAL");
        Field('V', "FATAL");
        Field('C', SqlState(failure));
        Field('M', $"tunnel: {failure.Message}");
        Field('D', DetailOf(failure));
        body.WriteByte(0);
        var message = new byte[5 + body.Length];
        message[0] = (byte)'E';
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), checked((int)body.Length + 4));
        body.ToArray().CopyTo(message, 5);
        return message;
    }

    // PostgreSQL, appendix A: class 08 connection exceptions, 28000 invalid authorization, 53300 too many connections.
    private static string SqlState(DialException failure) => failure switch
    {
        { Hop: Hop.Ingress, Code: "token-refused" } => "28000",
        { Code: "limited" or "crowded" } => "53300",
        _ => "08006",
    };

    /// <summary>Reads up to the end of the startup message; false when this is no PostgreSQL startup.</summary>
    private static async Task<bool> SkipStartupAsync(DuplexStream application, CancellationToken cancellationToken)
    {
        var header = new byte[8];

        // One SSLRequest and one GSSENCRequest may come before the StartupMessage.
        for (var request = 0; request < 3; request++)
        {
            if (!await ReadExactlyAsync(application, header, cancellationToken))
            {
                return false;
            }

            var length = BinaryPrimitives.ReadInt32BigEndian(header);
            var code = BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(4));
            if (code is SslRequest or GssEncryptionRequest && length == header.Length)
            {
                await application.WriteAsync("N"u8.ToArray(), cancellationToken);
                continue;
            }

            return code >> 16 == ProtocolMajor
                && length is > 8 and <= MaxStartupLength
                && await ReadExactlyAsync(application, new byte[length - header.Length], cancellationToken);
        }

        return false;
    }

    private static async Task<bool> ReadExactlyAsync(DuplexStream stream, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (!buffer.IsEmpty)
        {
            var count = await stream.ReadAsync(buffer, cancellationToken);
            if (count == 0)
            {
                return false;
            }

            buffer = buffer[count..];
        }

        return true;
    }

    // Closing with unread bytes would reset the connection and could destroy the answer on its way.
    private static async Task DrainAsync(DuplexStream stream, CancellationToken cancellationToken)
    {
        var buffer = new byte[1024];
        while (await stream.ReadAsync(buffer, cancellationToken) > 0)
        {
        }
    }
}
