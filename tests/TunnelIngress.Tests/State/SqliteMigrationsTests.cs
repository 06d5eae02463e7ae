using Microsoft.Data.Sqlite;
using TunnelIngress.State;

namespace TunnelIngress.Tests.State;

public sealed class SqliteMigrationsTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Migrating_again_keeps_what_is_there()
    {
        await Samples.OpenFilledAsync(_directory.Path);
        var again = await Samples.OpenAsync(_directory.Path);
        Assert.Equal(2, (await again.LoadAsync(Cancel)).Services.Count);
    }

    [Fact]
    public async Task Several_processes_may_make_one_fresh_database_at_once()
    {
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Samples.OpenAsync(_directory.Path))));
        Assert.Empty((await (await Samples.OpenAsync(_directory.Path)).LoadAsync(Cancel)).Tunnels);
    }

    [Fact]
    public async Task A_database_of_a_newer_program_is_refused_and_left_alone()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        await ExecuteAsync(store.Path, "PRAGMA user_version = 9999");

        var refusal = await Assert.ThrowsAsync<IOException>(() => Samples.OpenAsync(_directory.Path));

        Assert.Contains("9999", refusal.Message, StringComparison.Ordinal);
        Assert.Contains(store.Path, refusal.Message, StringComparison.Ordinal);
        await ExecuteAsync(store.Path, "PRAGMA user_version = 1");
        Assert.Equal(2, (await store.LoadAsync(Cancel)).Services.Count);
    }

    [Fact]
    public async Task A_file_that_is_no_database_is_refused_by_name()
    {
        var path = new SqliteStateStore(_directory.Path).Path;
        await File.WriteAllTextAsync(path, string.Join('\n', Enumerable.Repeat("this is no database", 200)), Cancel);
        var refusal = await Assert.ThrowsAsync<IOException>(() => Samples.OpenAsync(_directory.Path));
        Assert.Contains(path, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_directory_that_cannot_be_made_is_refused_with_a_way_out()
    {
        await File.WriteAllTextAsync(_directory.Combine("file"), "", Cancel);
        var refusal = await Assert.ThrowsAsync<IOException>(() => Samples.OpenAsync(_directory.Combine("file/state")));
        Assert.Contains("--state", refusal.Message, StringComparison.Ordinal);
    }

    private static async Task ExecuteAsync(string path, string sql)
    {
        await using var connection = new SqliteConnection($"Data Source={path}");
        await connection.OpenAsync(Cancel);
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync(Cancel);
    }
}
