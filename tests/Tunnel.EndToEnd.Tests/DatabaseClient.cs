using System.Net;
using Npgsql;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>An ordinary driver at an address of the tunnel.</summary>
internal static class DatabaseClient
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>Connects at <c>host:port</c>.</summary>
    public static Task<NpgsqlConnection> ConnectAsync(string address) => ConnectAsync(IPEndPoint.Parse(address));

    public static async Task<NpgsqlConnection> ConnectAsync(IPEndPoint endPoint)
    {
        var connection = new NpgsqlConnection(
            $"Host={endPoint.Address};Port={endPoint.Port};Username=postgres;Database=postgres;Pooling=false;SSL Mode=Disable;GSS Encryption Mode=Disable;Timeout=60;Command Timeout=120");
        try
        {
            await connection.OpenAsync(Cancelled);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    public static async Task AssertWorksAsync(string address) => await AssertWorksAsync(IPEndPoint.Parse(address));

    public static async Task AssertWorksAsync(IPEndPoint endPoint)
    {
        await using var connection = await ConnectAsync(endPoint);
        await AssertAnswersAsync(connection);
    }

    public static async Task AssertAnswersAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("select 1", connection);
        Assert.Equal(1, await command.ExecuteScalarAsync(Cancelled));
    }

    /// <summary>Cancels a statement that certainly runs.</summary>
    /// <param name="connection">Where it runs.</param>
    /// <param name="postgres">The database that it reaches in the end.</param>
    /// <param name="mark">A text that no other statement contains.</param>
    public static async Task CancelSleepAsync(NpgsqlConnection connection, PostgresServer postgres, string mark)
    {
        await using var sleep = new NpgsqlCommand($"select pg_sleep(300) /* {mark} */", connection);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        var sleeping = sleep.ExecuteNonQueryAsync(cancel.Token);
        await UntilSleepsAsync(postgres, mark);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sleeping);
    }

    /// <summary>Waits until the database itself sleeps in a statement that contains a text: a request to cancel that overtakes it is for nobody.</summary>
    public static async Task UntilSleepsAsync(PostgresServer postgres, string text)
    {
        await using var observer = new NpgsqlConnection(postgres.ConnectionString());
        await observer.OpenAsync(Cancelled);
        await using var command = new NpgsqlCommand("select count(*) from pg_stat_activity where wait_event = 'PgSleep' and strpos(query, $1) > 0", observer);
        command.Parameters.AddWithValue(text);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(Patience);
        while ((long)(await command.ExecuteScalarAsync(limit.Token))! == 0)
        {
            await Task.Delay(20, limit.Token);
        }
    }

    /// <summary>Never ends but with the error that the connection ends with.</summary>
    public static async Task QueryForEverAsync(NpgsqlConnection connection)
    {
        while (true)
        {
            await AssertAnswersAsync(connection);
        }
    }
}
