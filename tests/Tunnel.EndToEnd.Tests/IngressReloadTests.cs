using System.Text.Json;
using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>An ingress whose configuration file changes while it serves.</summary>
public sealed class IngressReloadTests : IAsyncLifetime
{
    private static readonly string[] Loopback = ["127.0.0.1:0"];

    private readonly string _directory = Directory.CreateTempSubdirectory("ingress-").FullName;
    private ProgramProcess _ingress = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private string File => Path.Combine(_directory, "ingress.json");

    public async ValueTask InitializeAsync()
    {
        await ConfigureAsync();
        _ingress = ProgramProcess.Start("tunnel-ingress", ["run", "--config", File, "--dev-certificate", "--state", Path.Combine(_directory, "state"), "--log-format", "json"]);
        await _ingress.WaitForAsync("PostgresListening");
    }

    public async ValueTask DisposeAsync()
    {
        await _ingress.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task What_waits_for_a_restart_is_named_key_by_key_and_nothing_else_is()
    {
        await ConfigureAsync(("Listen", Loopback.Append("127.0.0.1:0")), ("Limits", new { MaxStreams = 7 }), ("Postgres", new { Listen = Loopback.Append("[::1]:0") }));
        await _ingress.SignalAsync("HUP");

        await _ingress.WaitForAsync("Reloaded");
        await _ingress.WaitForAsync("PostgresListening", static seen => seen["Address"].StartsWith("[::1]", StringComparison.Ordinal));
        await _ingress.WaitForAsync("RestartNeeded", static seen => seen["Key"] == "Listen");
        await _ingress.WaitForAsync("RestartNeeded", static seen => seen["Key"] == "Limits:MaxStreams");
        Assert.Equal(2, _ingress.Count("RestartNeeded"));
    }

    [Fact]
    public async Task Mistake_leaves_what_was_and_an_address_that_cannot_be_had_is_told()
    {
        await ConfigureAsync(("Limit", 1));
        await _ingress.SignalAsync("HUP");
        Assert.Contains("Did you mean Limits?", (await _ingress.WaitForAsync("ReloadFailed"))["Reason"], StringComparison.Ordinal);

        await ConfigureAsync(("Postgres", new { Listen = Loopback.Append("unix:/nowhere/postgres.sock") }));
        await _ingress.SignalAsync("HUP");
        Assert.Contains("/nowhere does not exist", (await _ingress.WaitForAsync("ReloadIncomplete"))["Reason"], StringComparison.Ordinal);
        Assert.Equal(0, _ingress.Count("Reloaded"));
    }

    private Task ConfigureAsync(params (string Key, object Value)[] changed)
    {
        var configuration = new Dictionary<string, object> { ["Listen"] = Loopback, ["Management"] = "127.0.0.1:0", ["Postgres"] = new { Listen = Loopback } };
        foreach (var (key, value) in changed)
        {
            configuration[key] = value;
        }

        return System.IO.File.WriteAllTextAsync(File, JsonSerializer.Serialize(configuration), Cancelled);
    }
}
