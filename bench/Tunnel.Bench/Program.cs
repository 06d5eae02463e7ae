using System.Diagnostics;
using System.Runtime.InteropServices;
using Tunnel.Bench;
using Tunnel.Bench.Contenders;
using Tunnel.Bench.Measures;
using Tunnel.Bench.Reporting;

BenchOptions options;
try
{
    options = BenchOptions.Parse(args);
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
    var watch = Stopwatch.StartNew();
    var checkout = Environment.GetEnvironmentVariable("TUNNEL_CHECKOUT") ?? Directory.GetCurrentDirectory();
    var programs = Environment.GetEnvironmentVariable("POSTGRES_BIN")
        ?? throw new InvalidOperationException("POSTGRES_BIN must name the directory of initdb and postgres; scripts/bench sets it");

    // The database's user must be able to enter it, but not to list it.
    File.SetUnixFileMode(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
    var databaseDirectory = Directory.CreateDirectory(Path.Combine(directory, "db"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
    await Console.Error.WriteLineAsync("Starting the database and every contender …");
    await using var database = await Database.StartAsync(programs, databaseDirectory, cancellationToken);
    await using var raw = new RawTarget(directory);
    var samples = new Samples();
    var bench = new Bench(options, new Pgbench(Database.ClientEnvironment, Database.Name, directory), samples);
    IReadOnlyList<Contender> contenders;
    await using (var chain = IsWanted(TunnelChain.ForwarderName, TunnelChain.IngressTcpName, TunnelChain.IngressUnixName) ? await StartChainAsync("chain") : null)
    await using (var ssh = IsWanted(SshReverse.Name) ? await StartSshAsync("ssh") : null)
    {
        Contender?[] all =
        [
            new Contender("direct Unix", "client → target, by a Unix socket", database.UnixEndPoint, raw.UnixEndPoint, []),
            chain?.Forwarder, chain?.IngressTcp, chain?.IngressUnix, ssh?.Contender,
        ];
        contenders =
        [
            new Contender(Contender.Base, "client → target", database.TcpEndPoint, raw.TcpEndPoint, []),
            .. all.OfType<Contender>().Where(contender => IsWanted(contender.Name)),
        ];
        await Console.Error.WriteLineAsync($"{watch.Elapsed:mm\\:ss} warming up");
        await bench.WarmUpAsync(contenders, cancellationToken);
        for (var round = 0; round < options.Rounds; round++)
        {
            await Console.Error.WriteLineAsync($"{watch.Elapsed:mm\\:ss} round {round + 1} of {options.Rounds}");
            await bench.RunRoundAsync(round, contenders, cancellationToken);
        }
    }

    for (var round = 0; round < options.IdleRounds; round++)
    {
        await Console.Error.WriteLineAsync($"{watch.Elapsed:mm\\:ss} memory of {options.IdleStreams} idle streams, run {round + 1} of {options.IdleRounds}");
        await MeasureIdleAsync(round);
    }

    var environment = await RunEnvironment.ReadAsync(cancellationToken);
    await Console.Error.WriteLineAsync($"{watch.Elapsed:mm\\:ss} done\n");
    await Console.Out.WriteLineAsync(MarkdownReport.Write(samples, contenders, environment));
    if (options.JsonFile is { } file)
    {
        await JsonReport.WriteAsync(file, samples, contenders, environment, options, cancellationToken);
        await Console.Error.WriteLineAsync($"Every sample is in {file}");
    }

    return samples.Failures.Count == 0;

    Task<TunnelChain> StartChainAsync(string name) =>
        TunnelChain.StartAsync(checkout, Path.Combine(directory, name), database.TcpEndPoint, raw.TcpEndPoint, cancellationToken);

    Task<SshReverse> StartSshAsync(string name) =>
        SshReverse.StartAsync(Path.Combine(directory, name), database.TcpEndPoint, raw.TcpEndPoint, cancellationToken);

    bool IsWanted(params string[] names) => options.Only.Count == 0 || names.Any(options.Only.Contains);

    // Each on processes of its own that did nothing before.
    async Task MeasureIdleAsync(int round)
    {
        if (IsWanted(TunnelChain.ForwarderName))
        {
            await using var chain = await StartChainAsync($"f{round}");
            await bench.MeasureIdleAsync(chain.Forwarder, cancellationToken);
        }

        if (IsWanted(TunnelChain.IngressTcpName))
        {
            await using var chain = await StartChainAsync($"t{round}");
            await bench.MeasureIdleAsync(chain.IngressTcp, cancellationToken);
        }

        if (IsWanted(SshReverse.Name))
        {
            await using var ssh = await StartSshAsync("ssh");
            await bench.MeasureIdleAsync(ssh.Contender, cancellationToken);
        }
    }
}
