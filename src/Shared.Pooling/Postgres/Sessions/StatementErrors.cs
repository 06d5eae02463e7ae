using System.Text;
using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Statements;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>What errors say of prepared statements.</summary>
internal static class StatementErrors
{
    /// <summary>
    /// True for "cached plan must not change result type": the tables have changed since the statement was parsed. Its text may be in the
    /// user's language, so it is known by the function that raises it.
    /// </summary>
    public static bool IsOutdatedPlan(ReadOnlySpan<byte> body) => body.IndexOf("C0A000\0"u8) >= 0 && body.IndexOf("RRevalidateCachedQuery\0"u8) >= 0;

    /// <summary>PostgreSQL names the statement that already exists or does not; the client must see its own name for it.</summary>
    /// <returns>True when the error was written, with another name in it.</returns>
    public static bool WriteWithClientsName(in PendingRequest request, ReadOnlySpan<byte> body, MessageWriter replacement)
    {
        if (request.ClientName is not { } name)
        {
            return false;
        }

        Span<byte> quoted = [(byte)'"', .. request.Statement is { } statement ? statement.ServerName : PreparedStatement.NoSuchName, (byte)'"'];
        var at = body.IndexOf(quoted);
        if (at < 0)
        {
            return false;
        }

        replacement.Begin(BackendMessage.ErrorResponse)
            .Bytes(body[..(at + 1)])
            .Bytes(Encoding.Latin1.GetBytes(name))
            .Bytes(body[(at + quoted.Length - 1)..])
            .End();
        return true;
    }
}
