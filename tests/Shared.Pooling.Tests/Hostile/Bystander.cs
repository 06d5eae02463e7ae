using System.Diagnostics;
using Shared.Pooling.Postgres;
using Shared.Pooling.Tests.Postgres;

namespace Shared.Pooling.Tests.Hostile;

/// <summary>A client that does nothing wrong, and an administrator who looks at what is left of the others.</summary>
internal sealed class Bystander : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly WireClient _client;
    private readonly WireClient _console;
    private int _asked;

    private Bystander(WireClient client, WireClient console)
    {
        (_client, _console) = (client, console);
    }

    public static async Task<Bystander> ConnectAsync(PostgresPooler pooler) => new(
        await WireClient.ConnectAsync(pooler), await WireClient.ConnectAsAsync(pooler, "app", PoolFixture.Password, "pooler"));

    /// <summary>Goes on working as if it were alone.</summary>
    public async Task WorkAsync()
    {
        var number = $"{++_asked}";
        Assert.Equal(["T number:25", $"D {number}", "C SELECT 1", "Z I"], await _client.QueryAsync($"select '{number}'::text as number"));
    }

    /// <summary>Waits until nobody but it is left, and no connection is held.</summary>
    public async Task AloneAsync()
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            var rows = await TableAsync(_console, "show pools");
            if (rows is [{ } row] && (row["cl_active"], row["cl_waiting"], row["cl_idle"], row["sv_active"]) == ("0", "0", "1", "0"))
            {
                return;
            }

            Assert.True(watch.Elapsed < Patience, $"something is left behind: {string.Join("; ", rows.SelectMany(static row => row))}");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>What the console shows: for each row its columns' values by their names.</summary>
    public static async Task<Dictionary<string, string>[]> TableAsync(WireClient console, string command)
    {
        var lines = await console.QueryAsync(command);
        var names = lines[0][2..].Split(',').Select(static column => column[..column.IndexOf(':', StringComparison.Ordinal)]).ToArray();
        return [.. lines.Where(static line => line[0] == 'D').Select(row => names.Zip(row[2..].Split(',')).ToDictionary(static pair => pair.First, static pair => pair.Second))];
    }

    public async ValueTask DisposeAsync()
    {
        await _client.DisposeAsync();
        await _console.DisposeAsync();
    }
}
