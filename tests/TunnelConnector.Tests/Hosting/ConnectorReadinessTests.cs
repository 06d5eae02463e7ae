using Shared.Management;
using TunnelConnector.Hosting;
using TunnelConnector.Ingress;

namespace TunnelConnector.Tests.Hosting;

public sealed class ConnectorReadinessTests
{
    private static readonly (string, LinkStatus) Registered = ("a.example.com", new LinkStatus(true, "registered"));
    private static readonly (string, LinkStatus) Missing = ("b.example.com:8443", new LinkStatus(false, "not registered: the last attempt failed at hop tls (timeout)"));

    [Fact]
    public void One_ingress_is_enough() => Assert.Equal(
        new Readiness(true, "ready: registered at 1 of 2 ingresses, 3 streams\na.example.com registered\nb.example.com:8443 not registered: the last attempt failed at hop tls (timeout)"),
        ConnectorReadiness.Of([Registered, Missing], streams: 3, isDraining: false));

    [Fact]
    public void No_ingress_is_not() => Assert.Equal(
        new Readiness(false, "not ready: registered at 0 of 1 ingresses, 0 streams\nb.example.com:8443 not registered: the last attempt failed at hop tls (timeout)"),
        ConnectorReadiness.Of([Missing], streams: 0, isDraining: false));

    [Fact]
    public void Who_drains_is_not_ready_wherever_he_is_registered() => Assert.Equal(
        new Readiness(false, "draining: registered at 1 of 1 ingresses, 2 streams\na.example.com registered"),
        ConnectorReadiness.Of([Registered], streams: 2, isDraining: true));
}
