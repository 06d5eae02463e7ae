using System.Buffers.Binary;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Protocol;
using Shared.Streams;
using Shared.Streams.Memory;
using Shared.Streams.Tls;

namespace Shared.Pooling.Tests.Clients;

public sealed class ClientHandshakeTests
{
    private const int Cancel = 80877102;
    private const int Ssl = 80877103;
    private const int Gss = 80877104;
    private const int V30 = 3 << 16;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Startup_message_is_read()
    {
        var (startup, _) = await ReadAsync(Startup(V30, "user", "joe", "database", "db", "application_name", "x", "options", "-c a.b=1\\ 2 --work_mem=1MB -cd-e=f", "DateStyle", "ISO"));

        Assert.Equal(("joe", "db", 0), (startup!.User, startup.Database, startup.Minor));
        Assert.Equal("a.b=1 2|work_mem=1MB|d_e=f|application_name=x|datestyle=ISO", string.Join('|', startup.Settings.Select(static setting => $"{setting.Key}={setting.Value}")));
    }

    [Fact]
    public async Task Database_is_the_users_when_it_is_not_named()
    {
        var (startup, _) = await ReadAsync(Startup(V30, "user", "joe", "replication", "true"));

        Assert.Equal(("joe", "true"), (startup!.Database, startup.Replication));
    }

    [Theory]
    [InlineData(V30 | 2, 2, null)]
    [InlineData(V30 | 1, 0, "v 196608")]
    [InlineData(V30 | 9999, 2, "v 196610")]
    public async Task Protocol_is_negotiated_once(int version, int minor, string? negotiated)
    {
        var (client, reader) = Pair();
        await client.WriteAsync(Startup(version, "user", "joe"), Cancelled);

        var (startup, _) = await new ClientHandshake(new HandshakeOptions()).RunAsync(reader, Cancelled);
        await reader.Stream.CompleteWritesAsync(Cancelled);

        Assert.Equal(minor, startup!.Minor);
        Assert.Equal(negotiated, await NegotiationAsync(client));
    }

    [Fact]
    public async Task Unknown_protocol_options_are_listed()
    {
        var (client, reader) = Pair();
        await client.WriteAsync(Startup(V30, "user", "joe", "_pq_.test", "1"), Cancelled);

        await new ClientHandshake(new HandshakeOptions()).RunAsync(reader, Cancelled);
        await reader.Stream.CompleteWritesAsync(Cancelled);

        Assert.Equal("v 196608 _pq_.test", await NegotiationAsync(client));
    }

    [Theory]
    [InlineData(2 << 16, "0A000")]
    [InlineData(4 << 16, "0A000")]
    public async Task Other_protocols_are_refused(int version, string code) =>
        Assert.Equal(code, (await Assert.ThrowsAsync<HandshakeRefusedException>(() => ReadAsync(Startup(version, "user", "joe")))).Error.Code);

    [Theory]
    [InlineData("28000", "database", "db")]
    [InlineData("42601", "user", "joe", "options", "-c=")]
    [InlineData("42601", "user", "joe", "options", "-c =x")]
    [InlineData("42601", "user", "joe", "options", "-c")]
    [InlineData("42601", "user", "joe", "options", "--=")]
    [InlineData("42601", "user", "joe", "options", "-f")]
    [InlineData("42704", "user", "joe", "USER", "jane")]
    [InlineData("42704", "user", "joe", "options", "-c database=x")]
    [InlineData("22023", "user", "joe", "replication", "maybe")]
    public async Task Impossible_parameters_are_refused(string code, params string[] parameters) =>
        Assert.Equal(code, (await Assert.ThrowsAsync<HandshakeRefusedException>(() => ReadAsync(Startup(V30, parameters)))).Error.Code);

    [Fact]
    public async Task Cancel_request_is_read_with_short_and_long_keys()
    {
        foreach (var length in new[] { 4, 32, 256 })
        {
            var key = RandomNumberGenerator.GetBytes(length);
            var (_, cancel) = await ReadAsync(Packet(Cancel, [0, 0, 0, 7, .. key]));
            Assert.Equal(7, cancel!.ProcessId);
            Assert.Equal(key, cancel.Key);
        }

        await Assert.ThrowsAsync<ProtocolViolationException>(() => ReadAsync(Packet(Cancel, [0, 0, 0, 7, 1, 2, 3])));
        await Assert.ThrowsAsync<ProtocolViolationException>(() => ReadAsync(Packet(Cancel, new byte[4 + 257])));
    }

    [Fact]
    public async Task Encryption_is_refused_once_each_and_in_either_order()
    {
        await ReadAsync([.. Packet(Ssl), .. Startup(V30, "user", "joe")]);
        await ReadAsync([.. Packet(Gss), .. Packet(Ssl), .. Startup(V30, "user", "joe")]);
        await ReadAsync([.. Packet(Ssl), .. Packet(Gss), .. Startup(V30, "user", "joe")]);
        await Assert.ThrowsAsync<ProtocolViolationException>(() => ReadAsync([.. Packet(Ssl), .. Packet(Ssl)]));
        await Assert.ThrowsAsync<ProtocolViolationException>(() => ReadAsync([.. Packet(Gss), .. Packet(Gss)]));
        await Assert.ThrowsAsync<ProtocolViolationException>(() => ReadAsync([.. Packet(Gss), .. Packet(Ssl), .. Packet(Gss)]));
        await Assert.ThrowsAsync<ProtocolViolationException>(() => ReadAsync(Packet(Ssl, [1])));
    }

    [Fact]
    public async Task What_comes_before_TLS_is_not_used_after_it()
    {
        var exception = await Assert.ThrowsAsync<ProtocolViolationException>(
            () => ReadAsync([.. Packet(Ssl), .. Startup(V30, "user", "joe")], new HandshakeOptions { Tls = static _ => Certificate() }));

        Assert.Contains("unencrypted data", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plain_clients_are_refused_where_TLS_is_required()
    {
        var exception = await Assert.ThrowsAsync<HandshakeRefusedException>(
            () => ReadAsync(Startup(V30, "user", "joe"), new HandshakeOptions { Tls = static _ => Certificate(), RequireTls = true }));

        Assert.Equal("28000", exception.Error.Code);
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, true)]
    [InlineData(true, false)]
    public async Task TLS_begins_by_request_or_directly_with_its_protocol(bool direct, bool alpn)
    {
        var (client, reader) = Pair();
        var handshake = new ClientHandshake(new HandshakeOptions { Tls = static _ => Certificate(), RequireTls = true }).RunAsync(reader, Cancelled);
        if (!direct)
        {
            await client.WriteAsync(Packet(Ssl), Cancelled);
            var answer = new byte[1];
            await client.ReadAsync(answer, Cancelled);
            Assert.Equal((byte)'S', answer[0]);
        }

        var connecting = TlsStream.ConnectAsync(client, new SslClientAuthenticationOptions
        {
            TargetHost = "orders.example.com",
            ApplicationProtocols = alpn ? [new SslApplicationProtocol("postgresql")] : null,
            RemoteCertificateValidationCallback = static (_, certificate, _, _) => certificate?.Subject == "CN=pooler",
        }, Cancelled);
        if (direct && !alpn)
        {
            await Assert.ThrowsAsync<ProtocolViolationException>(() => handshake);
            return;
        }

        await using var tls = await connecting;
        await tls.WriteAsync(Startup(V30, "user", "joe"), Cancelled);
        var (startup, _) = await handshake;
        Assert.True(startup!.IsEncrypted);
        Assert.Equal("orders.example.com", startup.ServerName);
        Assert.NotNull(startup.LocalCertificate);
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(3u)]
    [InlineData(7u)]
    [InlineData(32_768u)]
    [InlineData(0x7fffffffu)]
    [InlineData(0x80000000u)]
    [InlineData(0xffffffffu)]
    public async Task Impossible_lengths_end_it_at_once(uint length)
    {
        var packet = new byte[8];
        BinaryPrimitives.WriteUInt32BigEndian(packet, length);
        BinaryPrimitives.WriteInt32BigEndian(packet.AsSpan(4), V30);

        await Assert.ThrowsAsync<ProtocolViolationException>(() => ReadAsync(packet));
    }

    [Fact]
    public async Task Whatever_comes_it_ends_in_order()
    {
        var random = new Random(3);
        for (var round = 0; round < 3000; round++)
        {
            var bytes = random.Next(3) switch
            {
                0 => Packet(new[] { Cancel, Ssl, Gss, V30, V30 | 2, 0 }[random.Next(6)], Enumerable.Range(0, random.Next(40)).Select(_ => (byte)random.Next(4)).ToArray()),
                1 => [.. Packet(Gss), .. Startup(V30, "user", "joe", "options", string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => "-c= \\a"[random.Next(6)])))],
                _ => RandomNumberGenerator.GetBytes(random.Next(40)),
            };
            try
            {
                await ReadAsync(bytes);
            }
            catch (Exception exception) when (exception is ProtocolViolationException or HandshakeRefusedException or EndOfStreamException)
            {
            }
        }
    }

    private static (MemoryDuplexStream Client, MessageReader Server) Pair()
    {
        var (client, server) = MemoryDuplexStream.CreatePair();
        return (client, new MessageReader(server));
    }

    private static async Task<(ClientStartup? Startup, CancelRequest? Cancel)> ReadAsync(byte[] bytes, HandshakeOptions? options = null)
    {
        var (client, reader) = Pair();
        await client.WriteAsync(bytes, Cancelled);
        await client.CompleteWritesAsync(Cancelled);
        return await new ClientHandshake(options ?? new HandshakeOptions()).RunAsync(reader, Cancelled).WaitAsync(TimeSpan.FromMinutes(1), Cancelled);
    }

    private static async Task<string?> NegotiationAsync(DuplexStream client)
    {
        var reader = new MessageReader(client);
        if (!await reader.FillAsync(1, Cancelled))
        {
            return null;
        }

        var (type, body) = await reader.ReadMessageAsync(1000, Cancelled);
        Assert.False(await reader.FillAsync(1, Cancelled));
        var fields = new BodyReader(body.Span);
        var text = $"{(char)type} {fields.Int32()}";
        for (var count = fields.Int32(); count > 0; count--)
        {
            text += " " + Encoding.UTF8.GetString(fields.CString());
        }

        return text;
    }

    private static byte[] Startup(int version, params string[] parameters) =>
        Packet(version, [.. parameters.SelectMany(static text => Encoding.UTF8.GetBytes(text).Append((byte)0)), 0]);

    private static byte[] Packet(int code, params byte[] body)
    {
        var packet = new byte[8 + body.Length];
        BinaryPrimitives.WriteInt32BigEndian(packet, packet.Length);
        BinaryPrimitives.WriteInt32BigEndian(packet.AsSpan(4), code);
        body.CopyTo(packet, 8);
        return packet;
    }

    private static SslServerAuthenticationOptions Certificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest("CN=pooler", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        return new SslServerAuthenticationOptions { ServerCertificate = X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pfx), null) };
    }
}
