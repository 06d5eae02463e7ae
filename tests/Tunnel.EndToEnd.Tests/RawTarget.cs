using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace Tunnel.EndToEnd.Tests;

/// <summary>A target that is nothing but a listening socket, for what databases never do.</summary>
internal sealed class RawTarget : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

    public RawTarget() => _listener.Start();

    /// <summary>As a connector's target.</summary>
    public string Address => $"tcp://{_listener.LocalEndpoint}";

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>Connects an application, and what arrives of it here.</summary>
    public async Task<(Socket Application, Socket Target)> ConnectAsync(IPEndPoint address)
    {
        var application = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await application.ConnectAsync(address, Cancelled);
        return (application, await _listener.AcceptSocketAsync(Cancelled).AsTask().WaitAsync(Patience, Cancelled));
    }

    /// <summary>Sends much in both directions, each with its end after it, and resets another connection.</summary>
    public async Task AssertCarriesAsync(IPEndPoint address)
    {
        var (application, target) = await ConnectAsync(address);
        using (application)
        using (target)
        {
            var data = RandomNumberGenerator.GetBytes(32 * 1024 * 1024);
            foreach (var (from, to) in new[] { (application, target), (target, application) })
            {
                var receiving = to.ReceiveToEndAsync();
                for (var sent = 0; sent < data.Length;)
                {
                    sent += await from.SendAsync(data.AsMemory(sent), Cancelled);
                }

                from.Shutdown(SocketShutdown.Send);
                Assert.Equal(SHA256.HashData(data), SHA256.HashData(await receiving.WaitAsync(Patience, Cancelled)));
            }
        }

        (application, target) = await ConnectAsync(address);
        using (target)
        {
            application.LingerState = new LingerOption(true, 0);
            application.Close();
            await Assert.ThrowsAsync<SocketException>(() => target.ReceiveAsync(new byte[1], Cancelled).AsTask().WaitAsync(Patience, Cancelled));
        }
    }

    /// <summary>Refuses connections from here on.</summary>
    public void Dispose() => _listener.Dispose();
}
