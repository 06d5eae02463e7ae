using Shared.Streams.Dialing;
using Shared.Streams.Protocol;
using TunnelIngress.Streams;

namespace TunnelIngress.Tests.Streams;

public sealed class TargetRefusalTests
{
    [Theory]
    [InlineData("connection-refused", "connection-refused", "Nothing listens.")]
    [InlineData("not-configured", "not-configured", "Nothing listens.")]
    [InlineData("Timeout", "other", "Timeout: Nothing listens.")]
    [InlineData("", "other", ": Nothing listens.")]
    [InlineData("4711\r\n", "other", "4711??: Nothing listens.")]
    public void Code_is_one_that_is_known(string said, string code, string message)
    {
        var failure = TargetRefusal.ToFailure(new Refused(said, "Nothing listens."));

        Assert.Equal((Hop.Target, code, message), (failure.Hop, failure.Code, failure.Message));
    }
}
