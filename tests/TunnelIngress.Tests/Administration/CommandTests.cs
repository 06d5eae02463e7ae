using TunnelIngress.State;
using TunnelIngress.Tests.Certificates;
using TunnelIngress.Tests.State;

namespace TunnelIngress.Tests.Administration;

/// <summary>Tunnels, services and pools, and what every command says of a wrong command line.</summary>
public sealed class CommandTests : CommandTest
{
    [Fact]
    public async Task A_tunnel_a_service_and_tokens_are_made_listed_and_removed()
    {
        Assert.Contains("service add", (await DoAsync("tunnel", "add", "vpc")).Output, StringComparison.Ordinal);
        await DoAsync("service", "add", "orders-db", "--hostname", "Orders-DB.Example.com.", "--tunnel", "vpc");
        var token = await DoAsync("token", "create", "orders-app", "--access", "orders-db", "--expires", "90d");
        Assert.Contains("tunnel_", token.Output, StringComparison.Ordinal);

        Assert.Matches("vpc +orders-db", (await DoAsync("tunnel", "list")).Output);
        Assert.Matches("orders-db +orders-db.example.com +vpc", (await DoAsync("service", "list")).Output);
        Assert.Matches($"orders-app +access orders-db +active +{DateTimeOffset.UtcNow.Year}-[0-9-]+ [0-9:]+Z +[0-9-]+ [0-9:]+Z +-", (await DoAsync("token", "list")).Output);

        await DoAsync("service", "remove", "orders-db");
        await DoAsync("tunnel", "remove", "vpc");
        Assert.Empty((await JsonAsync("tunnel", "list")).EnumerateArray());
    }

    [Theory]
    [InlineData("tunnel list")]
    [InlineData("tunnel remove vpc")]
    [InlineData("service add db --hostname db.example.com --tunnel vpc")]
    [InlineData("service set db --access public")]
    [InlineData("service list")]
    [InlineData("service remove db")]
    [InlineData("token create app --connect vpc")]
    [InlineData("token list")]
    [InlineData("token grant x --access db")]
    [InlineData("token withdraw x --access db")]
    [InlineData("token rotate x")]
    [InlineData("token revoke x")]
    [InlineData("token remove x")]
    [InlineData("pool set db --user app")]
    [InlineData("pool list")]
    [InlineData("pool remove db")]
    public async Task A_mistyped_stateState_is_not_made(string line)
    {
        var mistyped = State.Combine("typo");
        var refused = await Programs.RunAsync([.. line.Split(' '), "--state", mistyped]);
        Assert.Equal((1, ""), (refused.ExitCode, refused.Output));
        Assert.Contains($"There is no state in {mistyped}. Give --state, or create it with 'tunnel-ingress tunnel add'.", refused.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(mistyped));
    }

    [Fact]
    public async Task The_first_tunnel_makes_the_state_and_says_where()
    {
        var directory = State.Combine("new");
        var added = await Programs.RunAsync("tunnel", "add", "vpc", "--state", directory);
        Assert.Equal(0, added.ExitCode);
        Assert.Contains(directory, added.Output, StringComparison.Ordinal);
        Assert.Contains("vpc", (await Programs.RunAsync("tunnel", "list", "--state", directory)).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_gets_another_hostname_and_keeps_what_it_speaks()
    {
        await FillAsync();
        await DoAsync("service", "set", "orders-db", "--protocol", "http", "--access", "public");
        Assert.Contains("orders.example.com", (await DoAsync("service", "set", "orders-db", "--hostname", "Orders.Example.com.")).Output, StringComparison.Ordinal);
        Assert.Equal(Samples.Service("orders-db") with { Hostname = "orders.example.com", Web = WebOrigin.Default with { Access = WebAccess.Public } }, (await LoadAsync()).Services["orders-db"]);
    }

    [Fact]
    public async Task A_service_that_is_removed_names_the_tokens_that_lose_it()
    {
        await FillAsync();
        var both = (await JsonAsync("token", "create", "both", "--access", "orders-db", "users-db")).GetProperty("clientId").GetString()!;
        var other = (await JsonAsync("token", "create", "other", "--access", "users-db")).GetProperty("clientId").GetString()!;

        var removed = (await DoAsync("service", "remove", "orders-db")).Output;

        Assert.Contains($"{both} (both)", removed, StringComparison.Ordinal);
        Assert.DoesNotContain(other, removed, StringComparison.Ordinal);
        Assert.Equal(["users-db"], (await LoadAsync()).Tokens[both].Scope.Services);
    }

    [Fact]
    public async Task A_pool_and_HTTP_exclude_each_other()
    {
        await FillAsync();
        await DoAsync("service", "set", "users-db", "--protocol", "https");
        Assert.Contains("service set users-db --protocol tcp", (await RefusedAsync(1, "pool", "set", "users-db", "--user", "app")).Error, StringComparison.Ordinal);
        Assert.Empty((await LoadAsync()).Pools);

        await DoAsync("pool", "set", "orders-db", "--user", "app");
        Assert.Contains("pool remove orders-db", (await RefusedAsync(1, "service", "set", "orders-db", "--protocol", "http")).Error, StringComparison.Ordinal);
        await DoAsync("service", "set", "orders-db", "--hostname", "orders.example.com");
        await DoAsync("pool", "remove", "orders-db");
        await DoAsync("service", "set", "orders-db", "--protocol", "http");
        Assert.NotNull((await LoadAsync()).Services["orders-db"].Web);
    }

    [Fact]
    public async Task A_service_speaks_what_was_said_and_can_be_changed()
    {
        await FillAsync();
        var ca = State.Combine("ca.pem");
        using var certificates = new TestCertificates();
        await File.WriteAllTextAsync(ca, certificates.Pem("wiki.internal").Chain, Cancel);
        await DoAsync("service", "add", "wiki", "--hostname", "wiki.example.com", "--tunnel", "vpc", "--protocol", "https", "--access", "public", "--ca-file", ca, "--idle-timeout", "2h");
        Assert.Matches("wiki +wiki.example.com +vpc +https +public", (await DoAsync("service", "list")).Output);
        Assert.Matches("orders-db +orders-db.example.com +vpc +tcp +service-token", (await DoAsync("service", "list")).Output);

        await DoAsync("service", "set", "wiki", "--access", "service-token", "--host-header", "wiki.internal:8443", "--server-name", "wiki.internal");
        var web = (await LoadAsync()).Services["wiki"].Web!;
        Assert.Equal((true, WebAccess.ServiceToken, "wiki.internal:8443", "wiki.internal", TimeSpan.FromHours(2)), (web.Tls, web.Access, web.HostHeader, web.ServerName, web.IdleTimeout));
        Assert.Contains("BEGIN CERTIFICATE", web.Ca, StringComparison.Ordinal);

        await DoAsync("service", "set", "wiki", "--ca-file", "", "--host-header", "keep", "--tls-verify", "off");
        Assert.Equal(web with { Ca = null, HostHeader = null, Verify = false }, (await LoadAsync()).Services["wiki"].Web);
        await DoAsync("service", "set", "wiki", "--protocol", "http");
        Assert.Equal(WebOrigin.Default with { IdleTimeout = TimeSpan.FromHours(2) }, (await LoadAsync()).Services["wiki"].Web);
        await DoAsync("service", "set", "wiki", "--protocol", "tcp");
        Assert.Null((await LoadAsync()).Services["wiki"].Web);
    }

    [Theory]
    [InlineData("tunnel add Bad_Name", "Bad_Name")]
    [InlineData("tunnel add", "")]
    [InlineData("tunnel frob", "frob")]
    [InlineData("service add db --hostname 10.0.0.1 --tunnel vpc", "10.0.0.1")]
    [InlineData("service add db --hostname db.example.com:443 --tunnel vpc", "db.example.com:443")]
    [InlineData("service add db --tunnel vpc", "--hostname")]
    [InlineData("service add db --hostname db.example.com --tunnel vpc --protocol ftp", "ftp")]
    [InlineData("service add db --hostname db.example.com --tunnel vpc --protocol http --access anybody", "anybody")]
    [InlineData("service add db --hostname db.example.com --tunnel vpc --protocol http --host-header a/b", "a/b")]
    [InlineData("service add db --hostname db.example.com --tunnel vpc --protocol http --idle-timeout 0s", "0s")]
    [InlineData("service add db --hostname db.example.com --tunnel vpc --protocol https --server-name 10.0.0.1", "10.0.0.1")]
    [InlineData("service add db --hostname db.example.com --tunnel vpc --protocol https --ca-file /nowhere", "/nowhere")]
    [InlineData("token create app", "--connect")]
    [InlineData("token create app --connect vpc --access orders-db", "--connect")]
    [InlineData("token create app --connect vpc --expires soon", "soon")]
    [InlineData("token create app --connect vpc --expires 0s", "--expires")]
    [InlineData("token grant x", "--access")]
    [InlineData("token withdraw x", "--access")]
    [InlineData("service set db --hostname db.example.com:443", "db.example.com:443")]
    [InlineData("token rotate x --overlap 1y", "1y")]
    [InlineData("token rotate x --overlap 31d", "30d")]
    [InlineData("tunnel list --frob", "--frob")]
    public async Task A_wrong_command_line_is_a_usage_error_that_quotes_it(string line, string quoted)
    {
        await FillAsync();
        Assert.Contains(quoted, (await RefusedAsync(2, line.Split(' '))).Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tunnel add vpc", "'vpc'")]
    [InlineData("tunnel remove vpc", "service remove")]
    [InlineData("tunnel remove nowhere", "'nowhere'")]
    [InlineData("service add db --hostname db.example.com --tunnel nowhere", "'nowhere'")]
    [InlineData("service add other --hostname ORDERS-DB.example.com --tunnel vpc", "orders-db.example.com")]
    [InlineData("service remove nothing", "'nothing'")]
    [InlineData("service set nothing --access public", "'nothing'")]
    [InlineData("service set orders-db", "service set --help")]
    [InlineData("service set orders-db --access public", "--protocol http")]
    [InlineData("service set orders-db --protocol http --tls-verify off", "--protocol https")]
    [InlineData("token create app --access nothing", "'nothing'")]
    [InlineData("token rotate nobody", "'nobody'")]
    [InlineData("token revoke nobody", "'nobody'")]
    [InlineData("token remove nobody", "'nobody'")]
    [InlineData("token grant nobody --access orders-db", "'nobody'")]
    [InlineData("token withdraw nobody --access orders-db", "'nobody'")]
    [InlineData("service set orders-db --hostname users-db.example.com", "'users-db.example.com'")]
    public async Task A_refused_change_fails_with_one_line_that_names_the_cause(string line, string named)
    {
        await FillAsync();
        var refused = await RefusedAsync(1, line.Split(' '));
        Assert.Contains(named, refused.Error, StringComparison.Ordinal);
        Assert.Single(refused.Error.TrimEnd().Split('\n'));
    }

    [Fact]
    public async Task A_damaged_state_is_one_line_that_names_the_file()
    {
        var path = new SqliteStateStore(State.Path).Path;
        await File.WriteAllTextAsync(path, new string('x', 10_000), Cancel);
        var refused = await RefusedAsync(1, "tunnel", "list");
        Assert.Contains(path, refused.Error, StringComparison.Ordinal);
        Assert.Single(refused.Error.TrimEnd().Split('\n'));
    }

    [Theory]
    [InlineData("tunnel")]
    [InlineData("tunnel add")]
    [InlineData("tunnel list")]
    [InlineData("tunnel remove")]
    [InlineData("service")]
    [InlineData("service add")]
    [InlineData("service set")]
    [InlineData("service list")]
    [InlineData("service remove")]
    [InlineData("token")]
    [InlineData("token create")]
    [InlineData("token list")]
    [InlineData("token grant")]
    [InlineData("token withdraw")]
    [InlineData("token rotate")]
    [InlineData("token revoke")]
    [InlineData("token remove")]
    public async Task Help_shows_an_example(string command)
    {
        var help = await Programs.RunAsync([.. command.Split(' '), "--help"]);
        Assert.Equal(0, help.ExitCode);
        Assert.Contains("Example", help.Output, StringComparison.Ordinal);
        Assert.Contains($"tunnel-ingress {command}", help.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--set Bogus=1", "configuration: Bogus: There is no such key. See docs/configuration.md for all keys.")]
    [InlineData("--set querytimeoutsecond=1", "configuration: querytimeoutsecond: There is no such key. Did you mean QueryTimeoutSeconds?")]
    [InlineData("--max abc", "configuration: Max: 'abc' cannot be used; write a whole number.")]
    [InlineData("--max 0", "configuration: Max: 0 is out of range; write 1 to 10000.")]
    [InlineData("--mode fast", "configuration: Mode: 'fast' is no mode; write transaction, session or statement.")]
    [InlineData("--password-file nofile", "configuration: --password-file: The password file nofile cannot be read: ")]
    public async Task A_pool_that_cannot_be_is_refused_with_its_key(string options, string expected)
    {
        await FillAsync();

        var refused = await RefusedAsync(2, ["pool", "set", "orders-db", "--user", "orders", .. options.Split(' ')]);

        Assert.StartsWith($"tunnel-ingress: {expected}", refused.Error, StringComparison.Ordinal);
        Assert.Single(refused.Error.TrimEnd('\n').Split('\n'));
    }
}
