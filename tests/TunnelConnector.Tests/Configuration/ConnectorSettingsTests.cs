using Microsoft.Extensions.Logging.Abstractions;
using Shared.Hosting.Configuration;
using Shared.Streams.Protocol;
using TunnelConnector.Configuration;

namespace TunnelConnector.Tests.Configuration;

public sealed class ConnectorSettingsTests
{
    [Fact]
    public void Good_options_become_settings()
    {
        var settings = ConnectorSettings.From(Options(), TimeProvider.System, NullLogger.Instance);

        Assert.Equal(new Uri("wss://tunnel.example.com/"), Assert.Single(settings.Ingresses));
        Assert.Equal("tcp://10.0.1.5:5432", settings.Targets["orders-db"].ToString());
    }

    [Theory]
    [InlineData("http://tunnel.example.com", "Ingress:0")]
    [InlineData("tunnel.example.com", "Ingress:0")]
    [InlineData("wss://tunnel.example.com/path", "Ingress:0")]
    [InlineData("wss://user@tunnel.example.com", "Ingress:0")]
    [InlineData("ws://tunnel.example.com", "AllowPlaintext")]
    public void Bad_ingress_is_named(string ingress, string expected) =>
        AssertRefused(options => options.Ingress = [ingress], expected);

    [Fact]
    public void Plaintext_ingress_needs_the_development_switch() => Assert.Equal(
        "ws", ConnectorSettings.From(Options(options => (options.Ingress, options.AllowPlaintext) = (["ws://localhost:8080"], true)), TimeProvider.System, NullLogger.Instance).Ingresses[0].Scheme);

    [Theory]
    [InlineData("-a")]
    [InlineData("DB-1")]
    [InlineData("db 1")]
    [InlineData("db_1")]
    [InlineData("a234567890123456789012345678901234567890123456789012345678901234")]
    public void Bad_name_is_named(string name) => AssertRefused(options => options.Name = name, "Name: '" + name);

    [Fact]
    public void Name_is_the_machines_unless_it_is_given()
    {
        string NameOf(string? name) => ConnectorSettings.From(Options(options => options.Name = name), TimeProvider.System, NullLogger.Instance).Name;

        Assert.Equal("db-1", NameOf("db-1"));
        Assert.Equal(PlainName.Nearest(Environment.MachineName, "connector"), NameOf(null));
        Assert.Equal(NameOf(null), NameOf(""));
    }

    [Fact]
    public void No_ingress_is_refused() => AssertRefused(static options => options.Ingress = [], "Ingress: ");

    [Fact]
    public void No_service_is_refused() => AssertRefused(static options => options.Services = [], "Services: ");

    [Fact]
    public void Bad_target_is_named() => AssertRefused(static options => options.Services["orders-db"].Target = "10.0.1.5", "Services:orders-db:Target");

    [Fact]
    public void Missing_ca_file_is_named() => AssertRefused(static options => options.CaFile = "/nowhere/ca.pem", "/nowhere/ca.pem");

    [Fact]
    public void Missing_token_file_is_named() => AssertRefused(static options => options.Token = new TokenOptions { File = "/nowhere/token" }, "/nowhere/token");

    [Fact]
    public void File_that_holds_no_token_is_named() =>
        AssertRefused(static options => options.Token = new TokenOptions { File = typeof(ConnectorSettingsTests).Assembly.Location }, "Token:File: The token file ");

    [Fact]
    public void No_token_says_where_one_can_come_from() => AssertRefused(static options => options.Token = new TokenOptions(), "TUNNEL_CLIENT_SECRET");

    [Theory]
    [InlineData(-1)]
    [InlineData(86_401)]
    public void Number_out_of_range_is_named(int grace) => AssertRefused(options => options.GraceSeconds = grace, "GraceSeconds");

    [Fact]
    public void Management_that_others_reach_must_be_asked_for()
    {
        AssertRefused(static options => options.Management = "0.0.0.0:9082", "ManagementAllowRemote");

        Assert.Equal("0.0.0.0:9082", ConnectorSettings.From(
            Options(static options => (options.Management, options.ManagementAllowRemote) = ("0.0.0.0:9082", true)), TimeProvider.System, NullLogger.Instance).Management?.ToString());
    }

    private static void AssertRefused(Action<ConnectorOptions> change, string expected)
    {
        var exception = Assert.Throws<ConfigurationException>(() => ConnectorSettings.From(Options(change), TimeProvider.System, NullLogger.Instance));

        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    private static ConnectorOptions Options(Action<ConnectorOptions>? change = null)
    {
        var options = new ConnectorOptions
        {
            Ingress = ["wss://tunnel.example.com"],
            Token = new TokenOptions { ClientId = "id.access", ClientSecret = "secret" },
            Services = { ["orders-db"] = new ServiceOptions { Target = "tcp://10.0.1.5:5432" } },
        };
        change?.Invoke(options);
        return options;
    }
}
