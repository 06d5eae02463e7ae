using System.Net;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Tunnel.EndToEnd.Tests.Web;

/// <summary>
/// A web application in a private place, in clear (HTTP/1.1) and over TLS (HTTP/1.1 and HTTP/2): it echoes, streams what the test tells
/// it to, and says what it has seen.
/// </summary>
public sealed class AppOrigin : IAsyncDisposable
{
    /// <summary>The name in its certificate.</summary>
    public const string Name = "app.internal";

    private readonly WebApplication _app;

    private AppOrigin(WebApplication app)
    {
        _app = app;
    }

    public int HttpPort { get; private set; }

    public int HttpsPort { get; private set; }

    /// <summary>What /events sends, each as it is written here.</summary>
    public Channel<string> Events { get; } = Channel.CreateUnbounded<string>();

    /// <summary>What /hang has met: "begun" and "aborted".</summary>
    public Channel<string> Hangs { get; } = Channel.CreateUnbounded<string>();

    /// <summary>What /held waits for.</summary>
    public TaskCompletionSource Held { get; private set; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Lets /held wait from now on.</summary>
    public void Hold() => Held = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal static async Task<AppOrigin> StartAsync(TestAuthority authority)
    {
        var directory = Directory.CreateTempSubdirectory("app-");
        var (certificate, key) = (Path.Combine(directory.FullName, "cert.pem"), Path.Combine(directory.FullName, "key.pem"));
        await authority.IssueAsync(Name, certificate, key);
        using var pem = X509Certificate2.CreateFromPemFile(certificate, key);
        var usable = X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pfx), password: null);
        directory.Delete(recursive: true);

        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRouting();
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = null;

            // How slow a client may be is what the ingress is tested for.
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Listen(IPAddress.Loopback, 0, static listen => listen.Protocols = HttpProtocols.Http1);
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(usable));
        });
        var app = builder.Build();
        var origin = new AppOrigin(app);
        app.UseWebSockets();
        app.UseRouting();
        origin.Map(app);
        await app.StartAsync();
        var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(static address => new Uri(address)).ToArray();
        (origin.HttpPort, origin.HttpsPort) = (addresses[0].Port, addresses[1].Port);
        return origin;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private void Map(WebApplication app)
    {
        app.Map("/seen", static context => context.Response.WriteAsJsonAsync(new
        {
            context.Request.Protocol,
            context.Request.Method,
            Target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget,
            Host = context.Request.Host.Value,
            Headers = context.Request.Headers.ToDictionary(static header => header.Key, static header => header.Value.ToString()),
        }));
        app.Map("/seen/{**rest}", static context => context.Response.WriteAsync(context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget));
        app.Map("/hash", HashAsync);
        app.Map("/bytes/{count:long}", BytesAsync);
        app.Map("/echo", static context => context.Request.Body.CopyToAsync(context.Response.Body));
        app.Map("/events", EventsAsync);
        app.Map("/hang", HangAsync);
        app.Map("/trailers", TrailersAsync);
        app.Map("/socket", SocketAsync);
        app.Map("/wait/{milliseconds:int}", static async context =>
        {
            await Task.Delay(int.Parse((string)context.Request.RouteValues["milliseconds"]!, System.Globalization.CultureInfo.InvariantCulture), context.RequestAborted);
            await context.Response.WriteAsync("late");
        });
        app.Map("/held", async context =>
        {
            await Held.Task.WaitAsync(context.RequestAborted);
            await context.Response.WriteAsync("late");
        });
        app.Map("/forged", static context =>
        {
            context.Response.Headers["Tunnel-Error"] = "ingress/forged";
            context.Response.Headers["Tunnel-Request"] = "forged";
            context.Response.Headers["X-Private-Hop"] = "hop";
            context.Response.Headers.Connection = "X-Private-Hop";
            context.Response.Headers["X-Latin"] = "gr\u00fc\u00dfe";
            return context.Response.WriteAsync("ok");
        });
    }

    private static async Task HashAsync(HttpContext context)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[64 * 1024];
        long total = 0;
        while (await context.Request.Body.ReadAsync(buffer) is > 0 and var count)
        {
            hash.AppendData(buffer, 0, count);
            total += count;
        }

        await context.Response.WriteAsync($"{total} {Convert.ToHexString(hash.GetHashAndReset())}");
    }

    private static async Task BytesAsync(HttpContext context)
    {
        var left = long.Parse((string)context.Request.RouteValues["count"]!, System.Globalization.CultureInfo.InvariantCulture);
        context.Response.ContentLength = left;
        var buffer = new byte[64 * 1024];
        for (; left > 0; left -= buffer.Length)
        {
            await context.Response.Body.WriteAsync(buffer.AsMemory(0, (int)Math.Min(left, buffer.Length)), context.RequestAborted);
        }
    }

    private async Task EventsAsync(HttpContext context)
    {
        context.Response.ContentType = "text/event-stream";
        await context.Response.Body.FlushAsync();
        try
        {
            await foreach (var text in Events.Reader.ReadAllAsync(context.RequestAborted))
            {
                if (text.Length == 0)
                {
                    return;
                }

                await context.Response.WriteAsync($"data: {text}\n\n", context.RequestAborted);
            }
        }
        catch (OperationCanceledException)
        {
            // The listener has left.
        }
    }

    private async Task HangAsync(HttpContext context)
    {
        Hangs.Writer.TryWrite("begun");
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = context.RequestAborted.Register(aborted.SetResult);
        if (context.Request.Query.ContainsKey("started"))
        {
            await context.Response.WriteAsync("first");
            await context.Response.Body.FlushAsync();
        }

        await aborted.Task;
        Hangs.Writer.TryWrite("aborted");
    }

    private static async Task TrailersAsync(HttpContext context)
    {
        context.Response.Headers.Trailer = "X-Checksum";
        await context.Response.WriteAsync("body");
        await context.Response.Body.FlushAsync();
        context.Response.AppendTrailer("X-Checksum", "4711");
    }

    private static async Task SocketAsync(HttpContext context)
    {
        if (!context.WebSockets.IsWebSocketRequest)
        {
            context.Response.StatusCode = 426;
            return;
        }

        using var socket = await context.WebSockets.AcceptWebSocketAsync(context.WebSockets.WebSocketRequestedProtocols.FirstOrDefault());
        var buffer = new byte[64 * 1024];
        try
        {
            while (true)
            {
                var received = await socket.ReceiveAsync(buffer.AsMemory(), context.RequestAborted);
                if (received.MessageType == WebSocketMessageType.Close)
                {
                    await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "bye", context.RequestAborted);
                    return;
                }

                await socket.SendAsync(buffer.AsMemory(0, received.Count), received.MessageType, received.EndOfMessage, context.RequestAborted);
            }
        }
        catch (Exception exception) when (exception is WebSocketException or OperationCanceledException)
        {
            // The client was lost, which is what some tests are about.
        }
    }
}
