using System.Net.WebSockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Shared.Streams.Access;
using Shared.Streams.Dialing;

namespace Shared.Streams.Tests.Conformance;

/// <summary>A real Kestrel that upgrades to WebSockets, and the dialer of our programs to reach it.</summary>
internal sealed class WebSocketServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly WebSocketDialer _dialer;
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private WebSocketServer(WebApplication app, WebSocketDialer dialer)
    {
        (_app, _dialer) = (app, dialer);
    }

    /// <summary>Starts a server and connects one WebSocket: client end, server end.</summary>
    public static async Task<StreamPair> ConnectAsync(bool tls, Func<WebSocket, DuplexStream> clientEnd, Func<WebSocket, CancellationToken, DuplexStream> serverEnd)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen =>
        {
            if (tls)
            {
                listen.UseHttps(TestCertificate.Localhost);
            }
        }));
        var app = builder.Build();
        var dialer = new WebSocketDialer(new WebSocketDialerOptions
        {
            Token = new FixedServiceToken(new ServiceToken("id", "secret")),
            Trust = TestCertificate.Trust,
        });
        var server = new WebSocketServer(app, dialer);
        var accepted = new TaskCompletionSource<DuplexStream>(TaskCreationOptions.RunContinuationsAsynchronously);
        app.UseWebSockets();
        app.Run(async context =>
        {
            accepted.SetResult(serverEnd(await context.WebSockets.AcceptWebSocketAsync(), context.RequestAborted));
            await server._released.Task;
        });
        await app.StartAsync(TestContext.Current.CancellationToken);
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        var uri = new Uri(address.Replace("http", "ws", StringComparison.Ordinal));
        var (client, _) = await dialer.DialAsync(uri, [], pings: false, TestContext.Current.CancellationToken);
        return new StreamPair(clientEnd(client), await accepted.Task, server);
    }

    public async ValueTask DisposeAsync()
    {
        _released.SetResult();
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
        _dialer.Dispose();
    }
}
