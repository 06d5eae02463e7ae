using System.Collections.Concurrent;
using System.Net;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Shared.Streams.Protocol;

namespace Shared.Streams.Tests.Conformance.Adapters;

/// <summary>A real Kestrel, plain and with TLS, that hands each accepted WebSocket to the test that asked for it.</summary>
internal sealed class WebSocketServer
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource<(WebSocket, TaskCompletionSource)>> _expected = new();
    private readonly Dictionary<string, int> _ports = [];

    public static async Task<WebSocketServer> StartAsync()
    {
        var server = new WebSocketServer();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0, endpoint => endpoint.Protocols = HttpProtocols.Http1);
            kestrel.Listen(IPAddress.Loopback, 0, endpoint =>
            {
                endpoint.Protocols = HttpProtocols.Http1;
                endpoint.UseHttps(TestCertificate.Localhost);
            });
        });
        var application = builder.Build();
        application.UseWebSockets();
        application.Run(server.AcceptAsync);
        await application.StartAsync();
        var addresses = application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses;
        foreach (var address in addresses.Select(text => new Uri(text)))
        {
            server._ports[address.Scheme == "https" ? "wss" : "ws"] = address.Port;
        }

        return server;
    }

    /// <summary>Where to dial, and the WebSocket that this will make; its request ends when the second value is completed.</summary>
    public (Uri Uri, Task<(WebSocket WebSocket, TaskCompletionSource Release)> Accepted) Expect(string scheme)
    {
        var path = $"/{Guid.NewGuid():N}";
        var accepted = new TaskCompletionSource<(WebSocket, TaskCompletionSource)>(TaskCreationOptions.RunContinuationsAsynchronously);
        _expected[path] = accepted;
        return (new Uri($"{scheme}://127.0.0.1:{_ports[scheme]}{path}"), accepted.Task);
    }

    private async Task AcceptAsync(HttpContext context)
    {
        if (!_expected.TryRemove(context.Request.Path.Value!, out var expected))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        var webSocket = await context.WebSockets.AcceptWebSocketAsync(
            new WebSocketAcceptContext { KeepAliveInterval = TunnelProtocol.DataKeepAlive });
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        expected.SetResult((webSocket, release));
        await release.Task;
    }
}
