using System.Text;
using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Protocol;
using Shared.Streams;

namespace Shared.Pooling.Postgres.Administration;

/// <summary>
/// The console: a database of the pooler's own that answers simple queries, for psql. Only administrators are let in. Safe for concurrent use.
/// </summary>
/// <param name="commands">What it can do.</param>
internal sealed class AdminConsole(ConsoleCommands commands)
{
    /// <summary>The database that clients ask for to get here.</summary>
    public const string Database = "pooler";

    private const int LongestCommand = 16 * 1024;

    /// <summary>Serves an administrator until he leaves.</summary>
    /// <param name="startup">The client.</param>
    /// <param name="acceptance">What it is told first.</param>
    /// <param name="administrators">Who may.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="HandshakeRefusedException">He is none.</exception>
    public async Task ServeAsync(
        ClientStartup startup, ClientAcceptance acceptance, IReadOnlySet<string> administrators, CancellationToken cancellationToken)
    {
        if (!administrators.Contains(startup.User))
        {
            throw new HandshakeRefusedException(PostgresError.Fatal(
                SqlState.InsufficientPrivilege, $"user \"{startup.User}\" is no administrator of this pooler; Admins in its configuration lists them"));
        }

        using var writer = new MessageWriter();
        writer.Bytes(acceptance.Take().Span);
        Welcome(writer);
        await SendAsync(startup.Reader.Stream, writer, cancellationToken);
        var skipping = false;
        while (true)
        {
            var (type, body) = await startup.Reader.ReadMessageAsync(LongestCommand, cancellationToken);
            switch (type)
            {
                case FrontendMessage.Terminate:
                    return;
                case FrontendMessage.Sync:
                    skipping = false;
                    Ready(writer);
                    break;
                case FrontendMessage.Query when !skipping:
                    await commands.RunAsync(Encoding.UTF8.GetString(new BodyReader(body.Span).CString()), writer, cancellationToken);
                    Ready(writer);
                    break;
                case var _ when !skipping:
                    skipping = true;
                    PostgresError.Error(SqlState.FeatureNotSupported, "the console takes simple queries only").Write(writer);
                    break;
                default:
                    break;
            }

            await SendAsync(startup.Reader.Stream, writer, cancellationToken);
        }
    }

    private static void Welcome(MessageWriter writer)
    {
        foreach (var (name, value) in new[]
        {
            ("server_version", "15.0 (tunnel-pooler)"), ("server_encoding", "UTF8"), ("client_encoding", "UTF8"), ("DateStyle", "ISO, MDY"),
            ("standard_conforming_strings", "on"), ("integer_datetimes", "on"),
        })
        {
            writer.Begin(BackendMessage.ParameterStatus).CString(name).CString(value).End();
        }

        Ready(writer);
    }

    private static void Ready(MessageWriter writer) => writer.Begin(BackendMessage.ReadyForQuery).Byte((byte)'I').End();

    private static async ValueTask SendAsync(DuplexStream stream, MessageWriter writer, CancellationToken cancellationToken)
    {
        await stream.WriteAsync(writer.Written, cancellationToken);
        writer.Clear();
    }
}
