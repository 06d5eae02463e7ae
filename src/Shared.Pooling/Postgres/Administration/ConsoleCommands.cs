using System.Globalization;
using System.Reflection;
using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Sessions;

namespace Shared.Pooling.Postgres.Administration;

/// <summary>What can be asked and done on the console. Safe for concurrent use.</summary>
/// <param name="pools">The pools.</param>
/// <param name="reload">Reads the configuration anew and applies it; null where there is none to read.</param>
internal sealed class ConsoleCommands(PoolSet pools, Func<CancellationToken, Task>? reload)
{
    private static readonly string[] Help =
    [
        "SHOW POOLS", "SHOW CLIENTS", "SHOW SERVERS", "SHOW STATS", "SHOW LISTS", "SHOW CONFIG", "SHOW VERSION",
        "PAUSE [pool]", "RESUME [pool]", "RECONNECT [pool]", "RELOAD", "KILL pool", "KILL CLIENT id",
    ];

    /// <summary>Runs one command.</summary>
    /// <param name="command">Its words.</param>
    /// <param name="writer">Where the answer goes.</param>
    /// <param name="cancellationToken">Ends a wait.</param>
    public async Task RunAsync(string command, MessageWriter writer, CancellationToken cancellationToken)
    {
        var words = command.TrimEnd(';', ' ', '\n').Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        switch (words)
        {
            case []:
                writer.Begin(BackendMessage.EmptyQueryResponse).End();
                return;
            case [var show, var what] when Is(show, "SHOW") && Show(what) is { } table:
                table.Write(writer);
                return;
            case [var kill, var client, var id] when Is(kill, "KILL") && Is(client, "CLIENT"):
                KillClient(id, writer);
                return;
            case [var verb] when Is(verb, "PAUSE") || Is(verb, "RESUME") || Is(verb, "RECONNECT"):
                await EachAsync(verb, pools.All, writer, cancellationToken);
                return;
            case [var verb] when Is(verb, "RELOAD"):
                await ReloadAsync(writer, cancellationToken);
                return;
            case [var verb, var name] when Is(verb, "PAUSE") || Is(verb, "RESUME") || Is(verb, "RECONNECT") || Is(verb, "KILL"):
                if (pools.Named(name) is { Count: > 0 } named)
                {
                    await EachAsync(verb, named, writer, cancellationToken);
                }
                else
                {
                    PostgresError.Error(SqlState.InvalidCatalogName, $"there is no pool \"{name}\"").Write(writer);
                }

                return;
            default:
                (PostgresError.Error(SqlState.SyntaxError, $"the console does not know \"{command}\"") with { Hint = $"It knows: {string.Join("; ", Help)}" }).Write(writer);
                return;
        }
    }

    private static bool Is(string word, string command) => word.Equals(command, StringComparison.OrdinalIgnoreCase);

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static async Task EachAsync(string verb, IEnumerable<PostgresPool> which, MessageWriter writer, CancellationToken cancellationToken)
    {
        foreach (var pool in which)
        {
            switch (verb.ToUpperInvariant())
            {
                case "PAUSE":
                    await pool.Connections.PauseAsync().WaitAsync(cancellationToken);
                    break;
                case "RESUME":
                    pool.Connections.Resume();
                    break;
                case "RECONNECT":
                    pool.Connections.Reconnect();
                    break;
                default:
                    pool.Kill();
                    break;
            }
        }

        writer.Begin(BackendMessage.CommandComplete).CString(verb.ToUpperInvariant()).End();
    }

    private async Task ReloadAsync(MessageWriter writer, CancellationToken cancellationToken)
    {
        try
        {
            await (reload?.Invoke(cancellationToken) ?? throw new IOException("there is no configuration file to read"));
            writer.Begin(BackendMessage.CommandComplete).CString("RELOAD").End();
        }
        catch (IOException exception)
        {
            PostgresError.Error(SqlState.ConfigurationFile, $"the configuration was not reloaded, and what was in force stays so: {exception.Message}").Write(writer);
        }
    }

    private ConsoleTable? Show(string what) => what.ToUpperInvariant() switch
    {
        "POOLS" => Pools(),
        "CLIENTS" => Clients(),
        "SERVERS" => Servers(),
        "STATS" => Stats(),
        "LISTS" => Lists(),
        "CONFIG" => Config(),
        "VERSION" => new ConsoleTable("version").Add($"tunnel-pooler {Assembly.GetExecutingAssembly().GetName().Version?.ToString(3)}"),
        "HELP" => Help.Aggregate(new ConsoleTable("command"), static (table, command) => table.Add(command)),
        _ => null,
    };

    private ConsoleTable Pools()
    {
        var table = new ConsoleTable(
            "database", "user", "server_database", "pool_mode", "cl_active", "cl_waiting", "cl_idle", "sv_active", "sv_idle", "sv_login", "sv_pinned", "maxwait_ms", "state");
        foreach (var pool in pools.All)
        {
            var status = pool.Status;
            table.Add(
                pool.Name,
                pool.Key.User,
                pool.Key.Database,
                pool.Options.Mode.ToString().ToLowerInvariant(),
                Text(status.ClientsActive),
                Text(status.ClientsWaiting),
                Text(status.ClientsIdle),
                Text(status.ServersActive),
                Text(status.ServersIdle),
                Text(status.ServersConnecting),
                Text(pool.Servers.Count(static server => server.Pins != Pins.None)),
                Text((long)status.OldestWait.TotalMilliseconds),
                pool.Connections.Counts.State.ToString().ToLowerInvariant());
        }

        return table;
    }

    private ConsoleTable Clients()
    {
        var table = new ConsoleTable("id", "database", "user", "addr", "state", "state_ms", "connect_time", "requests", "transactions", "server_pid");
        foreach (var client in pools.All.SelectMany(static pool => pool.Clients))
        {
            var activity = client.Activity;
            table.Add(
                Text(client.Identity.Id), client.Identity.Database, client.Identity.User, client.Identity.Remote, activity.State.ToString().ToLowerInvariant(),
                Text((long)activity.Elapsed.TotalMilliseconds), activity.Connected.ToString("u", CultureInfo.InvariantCulture),
                Text(activity.Requests), Text(activity.Transactions), client.ServerProcessId is { } process ? Text(process) : null);
        }

        return table;
    }

    private ConsoleTable Servers()
    {
        var table = new ConsoleTable("pid", "database", "state", "client_id", "pinned_by", "prepared_statements");
        foreach (var pool in pools.All)
        {
            foreach (var server in pool.Servers)
            {
                var client = server.Client;
                table.Add(
                    Text(server.ProcessId), pool.Name, client is null ? "idle" : "active", client is null ? null : Text(client.Identity.Id),
                    server.Pins == Pins.None ? null : server.Pins.ToString(), Text(server.Statements.Count));
            }
        }

        return table;
    }

    private ConsoleTable Stats()
    {
        var table = new ConsoleTable("database", "total_requests", "total_transactions", "total_wait_ms", "servers_opened");
        foreach (var pool in pools.All)
        {
            var counts = pool.Connections.Counts;
            var (requests, transactions) = pool.Totals;
            table.Add(pool.Name, Text(requests), Text(transactions), Text((long)counts.WaitTotal.TotalMilliseconds), Text(counts.Opened));
        }

        return table;
    }

    private ConsoleTable Lists() => new ConsoleTable("list", "items")
        .Add("pools", Text(pools.All.Count))
        .Add("clients", Text(pools.All.Sum(static pool => pool.ClientCount)))
        .Add("servers", Text(pools.All.Sum(static pool => pool.Servers.Count())));

    private ConsoleTable Config()
    {
        var table = new ConsoleTable("database", "key", "value");
        foreach (var pool in pools.All)
        {
            var (options, connections) = (pool.Options, pool.Options.Connections);
            table.Add(pool.Name, "mode", options.Mode.ToString().ToLowerInvariant())
                .Add(pool.Name, "min", Text(connections.Min))
                .Add(pool.Name, "max", Text(connections.Max))
                .Add(pool.Name, "reserve", Text(connections.Reserve))
                .Add(pool.Name, "prepared_statements", Text(options.PreparedStatements))
                .Add(pool.Name, "query_wait_timeout_s", Text((long)connections.WaitTimeout.TotalSeconds))
                .Add(pool.Name, "query_timeout_s", Text((long)options.QueryTimeout.TotalSeconds))
                .Add(pool.Name, "refuse", options.Refuse.ToString());
        }

        return table;
    }

    private void KillClient(string text, MessageWriter writer)
    {
        var client = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id)
            ? pools.All.SelectMany(static pool => pool.Clients).FirstOrDefault(client => client.Identity.Id == id)
            : null;
        if (client is null)
        {
            PostgresError.Error(SqlState.SyntaxError, $"there is no client {text}; SHOW CLIENTS lists them").Write(writer);
            return;
        }

        client.End(PostgresError.Fatal(SqlState.AdminShutdown, "terminating connection due to administrator command"));
        writer.Begin(BackendMessage.CommandComplete).CString("KILL").End();
    }
}
