using System.Runtime.InteropServices;
using Tunnel.Bench;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Distance;
using Tunnel.Bench.Http;
using Tunnel.Bench.Pooling;
using Tunnel.Bench.Reporting;
using Tunnel.Bench.Scaling;
using Tunnel.Bench.Startup;

ISuite[] suites = [new TunnelSuite(), new PoolerSuite(), new DistanceSuite(), new StartupSuite(), new ScalingSuite(), new HttpSuite()];
BenchOptions options;
try
{
    options = BenchOptions.Parse(args, [.. suites.Select(suite => suite.Name)]);
}
catch (FormatException exception)
{
    await Console.Error.WriteLineAsync($"tunnel-bench: {exception.Message}\n{BenchOptions.Usage}");
    return 2;
}

using var stopping = new CancellationTokenSource();
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);

// Short, because a Unix socket's path has at most 107 bytes.
var work = Directory.CreateTempSubdirectory("tunnel-bench-").FullName;
try
{
    return await RunAsync(work, stopping.Token) ? 0 : 1;
}
catch (OperationCanceledException) when (stopping.IsCancellationRequested)
{
    return 130;
}
catch (Exception exception) when (exception is InvalidOperationException or TimeoutException or IOException or System.Net.Sockets.SocketException)
{
    await Console.Error.WriteLineAsync($"tunnel-bench: {exception.Message}");
    return 1;
}
finally
{
    Directory.Delete(work, recursive: true);
}

void Stop(PosixSignalContext context)
{
    context.Cancel = true;
    Console.Error.WriteLine($"tunnel-bench: stopped by {context.Signal}, cleaning up");
    stopping.Cancel();
}

async Task<bool> RunAsync(string directory, CancellationToken cancellationToken)
{
    var checkout = Environment.GetEnvironmentVariable("TUNNEL_CHECKOUT") ?? Directory.GetCurrentDirectory();
    var programs = Environment.GetEnvironmentVariable("POSTGRES_BIN")
        ?? throw new InvalidOperationException("POSTGRES_BIN must name the directory of initdb and postgres; scripts/bench sets it");

    // The database's user must be able to enter it, but not to list it.
    File.SetUnixFileMode(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
    var databaseDirectory = Directory.CreateDirectory(Path.Combine(directory, "db"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
    await Console.Error.WriteLineAsync("Starting the database …");
    var certificate = await Certificate.CreateAsync(directory, cancellationToken);
    await using var database = await Database.StartAsync(programs, databaseDirectory, certificate, cancellationToken);
    await using var raw = new RawTarget(directory);
    var run = new BenchRun(options, new Programs(checkout), directory, certificate, database, raw);
    var reports = new List<SuiteReport>();
    foreach (var suite in suites.Where(suite => options.Suites.Count == 0 || options.Suites.Contains(suite.Name)).Where(suite => run.IsWanted(suite.Contenders)))
    {
        reports.AddRange(await suite.RunAsync(run, cancellationToken));
    }

    var environment = await RunEnvironment.ReadAsync(cancellationToken);
    await run.SayAsync("done\n");
    await Console.Out.WriteLineAsync(MarkdownReport.Write(reports, environment));
    if (options.JsonFile is { } file)
    {
        await JsonReport.WriteAsync(file, reports, environment, options, cancellationToken);
        await Console.Error.WriteLineAsync($"Every sample is in {file}");
    }

    return reports.All(report => report.Samples.Failures.Count == 0);
}
