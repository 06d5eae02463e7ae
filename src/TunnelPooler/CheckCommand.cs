using System.CommandLine;
using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Shared.Hosting.CommandLine;
using Shared.Hosting.Configuration;
using Shared.Hosting.Logging;
using Shared.Pooling.Postgres;
using TunnelPooler.Pooling;

namespace TunnelPooler;

/// <summary><c>tunnel-pooler check</c>.</summary>
internal static class CheckCommand
{
    private const string Description = """
        Try every pool's database from end to end: connect, encrypt, log in, run a query.
        Says for each which hop failed and what to do, and exits with 1 when one did.

        Examples:
          tunnel-pooler check --config pooler.json
        """;

    public static Command Create()
    {
        var command = new Command("check", Description);
        var options = new RunOptions(command);
        command.SetAction(async (result, cancellationToken) => await RunAsync(
            new ConfigurationLayers("TUNNEL_POOLER__", result.GetValue(options.Config), options.Flags(result)), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(ConfigurationLayers layers, CancellationToken cancellationToken)
    {
        var options = layers.Load(static configuration => configuration.Get<PoolerOptions>());
        options.Listen = options.Listen.Count > 0 ? options.Listen : ["127.0.0.1:0"];
        var settings = PoolerSettings.From(options, TimeProvider.System, NullLogger.Instance);
        var failed = false;
        foreach (var name in settings.Pooling.Pools.Keys.Except(settings.Checkable.Keys.Select(static name => name.Split(' ')[0])))
        {
            Console.WriteLine($"-      {name}: clients log in to the database as themselves, so there is nothing to try without one");
        }

        await foreach (var report in OriginReports.RunAsync(settings.Checkable, TimeProvider.System, cancellationToken))
        {
            Console.WriteLine(Describe(report));
            failed |= !report.IsReachable;
        }

        return failed ? ExitCodes.Failure : ExitCodes.Success;
    }

    private static string Describe(OriginReport report) => report.IsReachable
        ? string.Create(
            CultureInfo.InvariantCulture,
            $"ok     {report.Pool}: PostgreSQL {Visible(report.ServerVersion)}, {(report.IsEncrypted ? "encrypted" : "not encrypted")} to the database, login {report.Login.TotalMilliseconds:0.0} ms, query {report.Query.TotalMilliseconds:0.0} ms")
        : $"FAILED {report.Pool} at {report.Hop}: {Visible(report.Failure)}{(report.Hint is null ? "" : $"\n       {Visible(report.Hint)}")}";

    // Whoever answers in the database's place writes these.
    private static string Visible(string? text) => VisibleText.Of(text ?? "");
}
