using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Tunnel.Bench.Contenders;

namespace Tunnel.Bench.Pooling;

/// <summary>A PostgreSQL client as small as it can be, because ten thousand of them share this process.</summary>
internal sealed class QueryClient : IDisposable
{
    private const int ProtocolVersion = 3 << 16;

    private readonly Socket _socket;

    private QueryClient(Socket socket)
    {
        _socket = socket;
    }

    /// <summary>Connects, logs in and does one query.</summary>
    public static async Task<QueryClient> OpenAsync(IPEndPoint address, ScramLogin scram, string database, CancellationToken cancellationToken)
    {
        var client = new QueryClient(await SocketExactly.ConnectAsync(address, cancellationToken));
        try
        {
            await client.LogInAsync(scram, database, cancellationToken);
            await client.SendAsync('Q', [.. "SELECT 1\0"u8], cancellationToken);
            await client.SkipToReadyAsync(cancellationToken);
            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    public void Dispose() => _socket.Dispose();

    private async Task LogInAsync(ScramLogin scram, string database, CancellationToken cancellationToken)
    {
        await SendAsync(null, [.. Number(ProtocolVersion), .. Encoding.ASCII.GetBytes($"user\0{scram.User}\0database\0{database}\0\0")], cancellationToken);
        await ExpectAsync(AuthenticationRequest.Sasl, cancellationToken);
        var nonce = ScramLogin.NewNonce();
        var first = Encoding.ASCII.GetBytes(ScramLogin.First(nonce));
        await SendAsync('p', [.. "SCRAM-SHA-256\0"u8, .. Number(first.Length), .. first], cancellationToken);
        var serverFirst = await ExpectAsync(AuthenticationRequest.SaslContinue, cancellationToken);
        await SendAsync('p', Encoding.ASCII.GetBytes(scram.Final(nonce, Encoding.ASCII.GetString(serverFirst))), cancellationToken);
        await SkipToReadyAsync(cancellationToken);
    }

    private async Task<byte[]> ExpectAsync(AuthenticationRequest request, CancellationToken cancellationToken)
    {
        var (type, body) = await ReceiveAsync(cancellationToken);
        return type == 'R' && BinaryPrimitives.ReadInt32BigEndian(body) == (int)request
            ? body[sizeof(int)..]
            : throw new InvalidOperationException($"the server answered '{type}' instead of asking for {request}");
    }

    private async Task SkipToReadyAsync(CancellationToken cancellationToken)
    {
        while (await ReceiveAsync(cancellationToken) is not { Type: 'Z' })
        {
        }
    }

    private async Task SendAsync(char? type, byte[] body, CancellationToken cancellationToken)
    {
        byte[] message = [.. Number(body.Length + sizeof(int)), .. body];
        await _socket.SendExactlyAsync(type is { } letter ? [(byte)letter, .. message] : message, cancellationToken);
    }

    private async Task<(char Type, byte[] Body)> ReceiveAsync(CancellationToken cancellationToken)
    {
        var header = new byte[1 + sizeof(int)];
        await _socket.ReceiveExactlyAsync(header, cancellationToken);
        var body = new byte[BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(1)) - sizeof(int)];
        await _socket.ReceiveExactlyAsync(body, cancellationToken);
        return header[0] == 'E'
            ? throw new InvalidOperationException($"the server said: {Encoding.UTF8.GetString(body).Replace('\0', ' ').Trim()}")
            : ((char)header[0], body);
    }

    private static byte[] Number(int value)
    {
        var bytes = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }

    private enum AuthenticationRequest
    {
        Sasl = 10,
        SaslContinue = 11,
    }
}
