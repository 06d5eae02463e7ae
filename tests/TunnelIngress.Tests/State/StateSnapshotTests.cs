namespace TunnelIngress.Tests.State;

public sealed class StateSnapshotTests
{
    [Theory]
    [InlineData("orders-db.example.com")]
    [InlineData("ORDERS-DB.Example.COM")]
    [InlineData("orders-db.example.com.")]
    public void A_service_is_found_however_its_hostname_is_written(string hostname) =>
        Assert.Equal("orders-db", Samples.Snapshot().FindByHostname(hostname)?.Name);

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("orders-db.example.com..")]
    [InlineData("example.com")]
    [InlineData("x.orders-db.example.com")]
    public void Another_hostname_finds_nothing(string hostname) => Assert.Null(Samples.Snapshot().FindByHostname(hostname));
}
