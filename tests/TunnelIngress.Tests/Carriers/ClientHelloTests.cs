using System.Net.Security;
using TunnelIngress.Carriers;

namespace TunnelIngress.Tests.Carriers;

public sealed class ClientHelloTests
{
    private static ReadOnlySpan<byte> Protocol => "tunnel/1"u8;

    [Theory]
    [InlineData("tunnel/1")]
    [InlineData("tunnel/1,http/1.1")]
    [InlineData("h2,http/1.1,tunnel/1")]
    public async Task Hello_that_offers_the_protocol_is_told_when_it_is_whole(string protocols)
    {
        var hello = await HelloAsync(protocols);

        Assert.Equal(Hello.OffersProtocol, ClientHello.Read(hello, Protocol));
        for (var length = 0; length < hello.Length; length++)
        {
            Assert.Equal(Hello.Incomplete, ClientHello.Read(hello.AsSpan(0, length), Protocol));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("http/1.1")]
    [InlineData("h2,http/1.1")]
    [InlineData("tunnel/10,tunnel/,unnel/1")]
    public async Task Other_hello_is_not_ours(string protocols) =>
        Assert.Equal(Hello.Other, ClientHello.Read(await HelloAsync(protocols), Protocol));

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n")]
    public void Other_protocol_is_not_ours(string text) =>
        Assert.Equal(Hello.Other, ClientHello.Read(System.Text.Encoding.ASCII.GetBytes(text), Protocol));

    [Fact]
    public async Task Damaged_hello_is_read_without_a_fault()
    {
        var hello = await HelloAsync("tunnel/1,http/1.1");
        var random = new Random(1);
        for (var round = 0; round < 20_000; round++)
        {
            var damaged = (byte[])hello.Clone();
            for (var i = random.Next(1, 4); i > 0; i--)
            {
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            }

            Assert.True(Enum.IsDefined(ClientHello.Read(damaged.AsSpan(0, random.Next(damaged.Length + 1)), Protocol)));
        }
    }

    /// <summary>The first bytes of a real client.</summary>
    private static async Task<byte[]> HelloAsync(string protocols)
    {
        using var sent = new MemoryStream();
        await using var client = new SslStream(new OneWay(sent));
        var options = new SslClientAuthenticationOptions { TargetHost = "tunnel.example.com" };
        if (protocols.Length > 0)
        {
            options.ApplicationProtocols = [.. protocols.Split(',').Select(static name => new SslApplicationProtocol(name))];
        }

        await Assert.ThrowsAnyAsync<IOException>(() => client.AuthenticateAsClientAsync(options, TestContext.Current.CancellationToken));
        return sent.ToArray();
    }

    /// <summary>Keeps what is written; there never is an answer.</summary>
    private sealed class OneWay(MemoryStream sent) : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count) => sent.Write(buffer, offset, count);

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            sent.WriteAsync(buffer, offset, count, cancellationToken);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            sent.WriteAsync(buffer, cancellationToken);
    }
}
