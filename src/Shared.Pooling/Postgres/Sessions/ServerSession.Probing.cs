using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Sessions;

// How a client that keeps its connection gets rid of it again: the server itself is asked whether anything is left in the session.
internal sealed partial class ServerSession
{
    /// <summary>What the catalog knows nothing of: these pins stay.</summary>
    public const Pins NotProbed = Pins.Load | Pins.Unseen;

    // A row for anything that is left; none lets the connection go. Qualified, because the client's search_path holds here.
    private static readonly byte[] Probe = Query("""
        select 1 from pg_catalog.pg_listening_channels()
        union all select 1 from pg_catalog.pg_depend
          where refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and refobjid = pg_catalog.pg_my_temp_schema()
        union all select 1 from pg_catalog.pg_cursors where is_holdable
        union all select 1 from pg_catalog.pg_prepared_statements where from_sql
        union all select 1 from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_catalog.pg_backend_pid()
        limit 1
        """);

    private Task? _probing;

    /// <summary>True when the last thing that keeps the client here may be gone; the server is asked as soon as it is idle.</summary>
    public bool PinsMayBeGone { get; set; }

    private static byte[] Query(string sql)
    {
        using var writer = new MessageWriter();
        writer.Begin(FrontendMessage.Query).CString(sql).End();
        return writer.Written.ToArray();
    }

    /// <summary>Asks, when it is worth asking and nothing else is on its way. Under the gate.</summary>
    private void ProbeWhenIdle(ClientSession client)
    {
        if (!PinsMayBeGone || client.KeepsServer || !Conversation.IsIdle || _requests.Count > 0 || _flushing || _delivering || PartialRequest)
        {
            return;
        }

        PinsMayBeGone = false;
        if (Pins != Pins.None && (Pins & NotProbed) == Pins.None)
        {
            Conversation.Ask(new PendingRequest { Kind = RequestKind.Query, Injected = true, IsProbe = true });
            _probing = WriteProbeAsync();
        }
    }

    private async Task WriteProbeAsync()
    {
        // Not under the gate.
        await Task.Yield();
        try
        {
            await _origin.Stream.WriteAsync(Probe, _closing.Token);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            Break(ServerLoss.From(exception));
        }
        finally
        {
            lock (Gate)
            {
                _probing = null;
            }
        }
    }
}
