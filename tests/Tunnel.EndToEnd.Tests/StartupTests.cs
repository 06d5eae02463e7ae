using Tunnel.Testing;

namespace Tunnel.EndToEnd.Tests;

/// <summary>What the programs say when they are started wrongly: the key or the hop, and what to do.</summary>
public sealed class StartupTests(ClusterFixture fixture)
{
    public static TheoryData<string, string, string> Mistakes => new()
    {
        { "tunnel-connector", "run --ingress wss://localhost:1 --token-file {token} --service db=10.0.0.1", "Services:db:Target: '10.0.0.1' is not a target" },
        { "tunnel-connector", "run --ingress wss://localhost:1 --token-file {token} --service db=tcp://10.0.0.1:70000", "a port from 1 to 65535" },
        { "tunnel-connector", "run --ingress https://localhost --token-file {token} --service db=tcp://a:1", "Ingress:0: 'https://localhost' is not an ingress" },
        { "tunnel-connector", "run --ingress ws://localhost --token-file {token} --service db=tcp://a:1", "AllowPlaintext" },
        { "tunnel-connector", "run --ingress wss://localhost --token-file /nowhere --service db=tcp://a:1", "The token file /nowhere does not exist" },
        { "tunnel-connector", "run --ingress wss://localhost --token-file {unknown} --service db=tcp://a:1", "Token:File: The token file {unknown} does not hold" },
        { "tunnel-connector", "run --ingress wss://localhost --token-file {token} --ca-file /nowhere --service db=tcp://a:1", "The CA file /nowhere cannot be read" },
        { "tunnel-connector", "run --config /nowhere", "The configuration file /nowhere cannot be read" },
        { "tunnel-connector", "run --config {unknown}", "Servcies: There is no such key" },
        { "tunnel-connector", "run --service db", "--service takes NAME=TARGET, not 'db'" },
        { "tunnel-connector", "run --ingress wss://localhost --token-file {token} --service db=tcp://a:1 --management 0.0.0.0:9082", "or set ManagementAllowRemote to true" },
        { "tunnel-connector", "health", "Management: There is no management address, so nobody can be asked. Give the program one and this command the same: --management, TUNNEL_CONNECTOR__MANAGEMENT, or" },
        { "tunnel-connector", "health --management 127.0.0.1:0", "Management: '127.0.0.1:0' lets the system choose the port" },
        { "tunnel-connector", "health --config /nowhere", "The configuration file /nowhere cannot be read" },
        { "tunnel-pooler", "health", "Management: There is no management address, so nobody can be asked" },
        { "tunnel-pooler", "health --management 9081", "Management: '9081' is not an address" },
        { "tunnel-connector", "run --no-such-flag", "Unrecognized command or argument '--no-such-flag'.\nTry 'tunnel-connector run --help'" },
        { "tunnel-connector", "verify --help", "Unrecognized command or argument 'verify'.\nTry 'tunnel-connector --help'" },
        { "tunnel-connector", "run --log-format xml", "Log:Format: 'xml' cannot be used (option --log-format); write text or json" },
        { "tunnel-pooler", "forward --hostname db --listen 127.0.0.1:70000 --token-file {token}", "Listen:0: '127.0.0.1:70000' is not an address" },
        { "tunnel-pooler", "forward --hostname db --listen 0.0.0.0:5432 --token-file {token}", "AllowRemote" },
        { "tunnel-pooler", "forward --hostname wss://db --listen 127.0.0.1:0 --token-file {token}", "Hostname: 'wss://db' is not a host" },
        { "tunnel-pooler", "forward --listen 127.0.0.1:0 --token-file {token}", "Hostname: Give the tunnel hostname, e.g. --hostname " },
        { "tunnel-pooler", "forward --hostname db --listen 127.0.0.1:0 --token-file {unknown}", "Token:File: The token file {unknown} does not hold" },
        { "tunnel-ingress", "run --state {state} --listen 127.0.0.1:0", "Certificate:File: There is no certificate" },
        { "tunnel-ingress", "run --state {state} --listen 127.0.0.1:0 --dev-certificate --certificate x.pem", "not several" },
        { "tunnel-ingress", "run --state {state} --dev-certificate", "Listen: Give at least one public address" },
        { "tunnel-ingress", "run --state {state} --dev-certificate --listen 127.0.0.1:0 --management 0.0.0.0:9080", "Management: '0.0.0.0:9080' can be reached from outside" },
        { "tunnel-ingress", "run --state {state} --dev-certificate --listen 127.0.0.1:0 --local db=0.0.0.0:0", "whoever reaches it needs no token" },
        { "tunnel-ingress", "run --state {state} --config {unknown}", "Servcies: There is no such key" },
        { "tunnel-ingress", "run --state {state} --listen 127.0.0.1:0 --certificate /nowhere.pem", "Certificate:File: The certificate in /nowhere.pem cannot be used" },
        { "tunnel-ingress", "service add", "Try 'tunnel-ingress service add --help'" },
    };

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Mistakes))]
    public async Task Wrong_start_is_refused_with_the_key_and_the_fix(string program, string arguments, string expected)
    {
        var unknown = Path.Combine(fixture.Cluster.Directory, "unknown.json");
        await File.WriteAllTextAsync(unknown, """{ "Servcies": {} }""", Cancelled);
        var filled = arguments
            .Replace("{token}", fixture.Cluster.ApplicationToken, StringComparison.Ordinal)
            .Replace("{unknown}", unknown, StringComparison.Ordinal)
            .Replace("{state}", Path.Combine(fixture.Cluster.Directory, "other-state"), StringComparison.Ordinal);

        var result = await CommandLine.RunAsync(program, filled.Split(' '));

        Assert.Equal(2, result.ExitCode);
        Assert.Contains(expected.Replace("{unknown}", unknown, StringComparison.Ordinal), result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tunnel-ingress", "TUNNEL_INGRESS__BOGUS")]
    [InlineData("tunnel-connector", "TUNNEL_CONNECTOR__BOGUS")]
    [InlineData("tunnel-pooler", "TUNNEL_POOLER__BOGUS")]
    public async Task Unknown_variable_is_refused(string program, string variable)
    {
        var result = await CommandLine.RunAsync(
            program, [program == "tunnel-pooler" ? "forward" : "run"], new Dictionary<string, string> { [variable] = "1" });

        Assert.Equal(2, result.ExitCode);
        Assert.Contains($"BOGUS: There is no such key (environment variable {variable})", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tunnel-pooler", "forward --hostname db --listen {taken} --token-file {token}")]
    [InlineData("tunnel-pooler", "run --config {pooler} --listen 127.0.0.1:0 --management {taken}")]
    [InlineData("tunnel-pooler", "forward --hostname db --listen 127.0.0.1:0 --token-file {token} --management {taken}")]
    [InlineData("tunnel-connector", "run --ingress wss://localhost:1 --token-file {token} --service db=tcp://127.0.0.1:1 --management {taken}")]
    [InlineData("tunnel-ingress", "run --state {state} --dev-certificate --listen {taken} --management 127.0.0.1:0")]
    [InlineData("tunnel-ingress", "run --state {state} --dev-certificate --listen 127.0.0.1:0 --management {taken}")]
    [InlineData("tunnel-ingress", "run --state {state} --dev-certificate --listen 127.0.0.1:0 --management 127.0.0.1:0 --postgres {taken}")]
    public async Task Address_that_is_taken_is_named_in_one_line(string program, string arguments)
    {
        var taken = fixture.RawWays["forwarder"].ToString();
        var pooler = Path.Combine(fixture.Cluster.Directory, $"{Guid.NewGuid():N}.json");
        await File.WriteAllTextAsync(pooler, """{ "Pools": { "db": { "Origin": "tcp://127.0.0.1:1" } } }""", Cancelled);
        var filled = arguments
            .Replace("{taken}", taken, StringComparison.Ordinal)
            .Replace("{token}", fixture.Cluster.ApplicationToken, StringComparison.Ordinal)
            .Replace("{pooler}", pooler, StringComparison.Ordinal)
            .Replace("{state}", Path.Combine(fixture.Cluster.Directory, "other-state"), StringComparison.Ordinal);

        var result = await CommandLine.RunAsync(program, filled.Split(' '));

        Assert.Equal(1, result.ExitCode);
        Assert.Contains($"{program}: Cannot listen on {taken}: the address is in use", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Pooling on", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reload_that_will_not_come_by_signal_is_told_at_the_start()
    {
        const string Ignoring = "trap '' HUP; exec \"$0\" forward --hostname db --listen 127.0.0.1:0 --token-file \"$1\" --log-format json";
        await using var ignoring = ProgramProcess.Start("sh", ["-c", Ignoring, CommandLine.PathOf("tunnel-pooler"), fixture.Cluster.ApplicationToken]);
        await ignoring.WaitForAsync("ReloadIgnored");

        var (hearing, _) = await fixture.Cluster.StartForwarderAsync("db");
        await hearing.SignalAsync("HUP");
        await hearing.WaitForAsync("Reloaded");
        Assert.Equal(0, hearing.Count("ReloadIgnored"));
    }

    [Fact]
    public async Task Ingress_whose_certificate_does_not_verify_gets_no_token()
    {
        await using var connector = ProgramProcess.Start("tunnel-connector",
        [
            "run", "--ingress", $"wss://localhost:{fixture.Cluster.Port}", "--token-file", fixture.Cluster.ConnectorToken, "--service", "db=tcp://a:1", "--log-format", "json",
        ]);

        var failed = await connector.WaitForAsync("IngressUnreachable");

        Assert.Equal(("tls", "certificate-not-trusted"), (failed["Hop"], failed["Code"]));
        Assert.Contains("Name the PEM file of its CA in --ca-file (CaFile).", failed["Reason"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Application_token_connects_no_tunnel()
    {
        await using var connector = ProgramProcess.Start("tunnel-connector",
        [
            "run", "--ingress", $"wss://localhost:{fixture.Cluster.Port}", "--token-file", fixture.Cluster.ApplicationToken, "--ca-file", fixture.Cluster.CaFile,
            "--service", "db=tcp://a:1", "--log-format", "json",
        ]);

        var failed = await connector.WaitForAsync("IngressUnreachable");

        Assert.Equal(("ingress", "token-refused"), (failed["Hop"], failed["Code"]));
    }

    [Fact]
    public async Task Service_that_the_tunnel_does_not_own_is_rejected_and_the_others_work()
    {
        await using var connector = ProgramProcess.Start("tunnel-connector",
        [
            "run", "--ingress", $"wss://localhost:{fixture.Cluster.Port}", "--token-file", fixture.Cluster.ConnectorToken, "--ca-file", fixture.Cluster.CaFile,
            "--service", "payroll=tcp://a:1", "--log-format", "json",
        ]);

        var rejected = await connector.WaitForAsync("ServiceRejected");

        Assert.Equal("payroll", rejected["Service"]);
        Assert.Contains("tunnel-ingress service add", rejected["Reason"], StringComparison.Ordinal);
        Assert.Equal("1\n", (await fixture.RunAsync("ingress TCP", "psql", ["-Atc", "select 1"])).EnsureSuccess().Output);
    }

    [Fact]
    public async Task Secret_is_in_no_log_at_any_level_and_on_no_command_line()
    {
        await using var cluster = await TunnelCluster.StartAsync(
            new Dictionary<string, string> { ["db"] = $"unix://{fixture.Postgres.SocketPath}" }, "--log-level", "Trace");
        var connector = await cluster.StartConnectorAsync("--log-level", "Trace");
        var (forwarder, addresses) = await cluster.StartForwarderAsync("db");
        var port = addresses[0].Split(':')[1];
        (await CommandLine.RunAsync("psql", ["-h", "127.0.0.1", "-p", port, "-U", "postgres", "-c", "select 1"])).EnsureSuccess();
        await cluster.Ingress.WaitForAsync("StreamEnded");

        var logs = cluster.AllLogs();
        foreach (var process in new[] { cluster.Ingress, connector, forwarder })
        {
            logs += await File.ReadAllTextAsync($"/proc/{process.Id}/cmdline", Cancelled);
        }

        Assert.DoesNotContain("tunnel_", logs.Replace("tunnel_ingress", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Contains("StreamOpened", logs, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tunnel-ingress")]
    [InlineData("tunnel-ingress", "run")]
    [InlineData("tunnel-ingress", "tunnel", "add")]
    [InlineData("tunnel-ingress", "service", "add")]
    [InlineData("tunnel-ingress", "token", "create")]
    [InlineData("tunnel-ingress", "token", "rotate")]
    [InlineData("tunnel-connector", "run")]
    [InlineData("tunnel-pooler", "forward")]
    public async Task Help_shows_what_the_command_is_for(string program, params string[] command)
    {
        var result = (await CommandLine.RunAsync(program, [.. command, "--help"])).EnsureSuccess();

        Assert.Contains(command.Length == 0 ? "Commands:" : "Example", result.Output, StringComparison.Ordinal);
    }
}
