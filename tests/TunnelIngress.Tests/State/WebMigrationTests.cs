using Microsoft.Data.Sqlite;
using TunnelIngress.State;

namespace TunnelIngress.Tests.State;

public sealed class WebMigrationTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Services_of_a_state_from_before_carry_plain_bytes_as_they_did()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        await using (var connection = new SqliteConnection($"Data Source={store.Path}"))
        {
            await connection.OpenAsync(Cancel);
            await using var command = connection.CreateCommand();
            command.CommandText = "DROP TABLE web; DROP TABLE token_use; PRAGMA user_version = 2";
            await command.ExecuteNonQueryAsync(Cancel);
        }

        var state = await (await Samples.OpenAsync(_directory.Path)).LoadAsync(Cancel);

        Assert.Equal(2, state.Services.Count);
        Assert.All(state.Services.Values, static service => Assert.Null(service.Web));
    }

    [Fact]
    public async Task What_a_service_speaks_is_read_back_and_goes_with_it()
    {
        var store = await Samples.OpenFilledAsync(_directory.Path);
        var web = new WebOrigin(true, WebAccess.Public, "a.internal", false, "pem", "b.internal", TimeSpan.FromSeconds(90));
        var before = (await store.LoadAsync(Cancel)).Revision;

        await store.SetServiceAsync("orders-db", "orders-db.example.com", web, Cancel);

        var state = await store.LoadAsync(Cancel);
        Assert.Equal((web, before + 1), (state.Services["orders-db"].Web, state.Revision));
        await store.RemoveServiceAsync("orders-db", Cancel);
        await store.AddServiceAsync(Samples.Service("orders-db"), Cancel);
        Assert.Null((await store.LoadAsync(Cancel)).Services["orders-db"].Web);
        await Assert.ThrowsAsync<StateException>(() => store.SetServiceAsync("nothing", "nothing.example.com", web, Cancel));
    }
}
