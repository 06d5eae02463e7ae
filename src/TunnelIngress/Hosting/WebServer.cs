using System.Net.Security;
using System.Security.Authentication;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Shared.Streams.Protocol;
using Shared.Streams.Sockets;
using TunnelIngress.Applications;
using TunnelIngress.Carriers;
using TunnelIngress.Certificates;
using TunnelIngress.Connectors;
using TunnelIngress.Management;
using TunnelIngress.State;

namespace TunnelIngress.Hosting;

/// <summary>
/// Kestrel with the public and the management addresses, and the one switch between what a request can be for:
/// management address → <see cref="ManagementEndpoint"/>; connector paths → <see cref="ControlEndpoint"/>, <see cref="CarrierEndpoint"/>, <see cref="DataEndpoint"/>;
/// everything else is a tunnel hostname → <see cref="HostnameEndpoint"/>.
/// </summary>
internal static class WebServer
{
    private const int MaxHeaders = 100;
    private const int MaxHeaderBytes = 32 * 1024;
    private const int MaxHttp2Streams = 100;
    private const int Http2StreamWindow = 256 * 1024;
    private const int LeastBytesPerSecond = 240;

    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(10);
    private static readonly List<SslApplicationProtocol> Upgradable = [SslApplicationProtocol.Http11];
    private static readonly List<SslApplicationProtocol> Any = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11];

    /// <summary>Builds the server; <paramref name="register"/> adds the services its endpoints need.</summary>
    public static WebApplication Build(
        ServerSockets sockets, ICertificateSource? certificates, StateWatcher state, ILoggerFactory loggers, Action<IServiceCollection> register)
    {
        // Empty: no appsettings.json, no ASPNETCORE_ variables. All configuration is ours, so an unknown key is always an error.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(loggers);
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().UseSockets(options => options.CreateBoundListenSocket = sockets.At)
            .ConfigureKestrel(kestrel => Configure(kestrel, sockets, certificates, state));
        register(builder.Services);
        if (certificates is not null)
        {
            builder.Services.AddSingleton(certificates).AddSingleton<CarrierDoor>();
        }

        builder.Services.AddSingleton<IConnectionListenerFactory>(services => new PublicTransport(
            sockets.PublicListeners, services.GetService<CarrierDoor>(), services.GetRequiredService<AcceptBudget>(), services.GetRequiredService<TimeProvider>(), loggers));

        var app = builder.Build();
        app.UseWebSockets();
        app.Run(DispatchTo(app.Services));
        return app;
    }

    private static RequestDelegate DispatchTo(IServiceProvider services)
    {
        var management = services.GetRequiredService<ManagementEndpoint>();
        var control = services.GetRequiredService<ControlEndpoint>();
        var carrier = services.GetRequiredService<CarrierEndpoint>();
        var data = services.GetRequiredService<DataEndpoint>();
        var hostname = services.GetRequiredService<HostnameEndpoint>();
        return context => context.Features.Get<ManagementConnectionFeature>() is not null
            ? management.HandleAsync(context)
            : context.Request.Path.Value switch
            {
                TunnelProtocol.ControlPath => Upgrade(context, control.HandleAsync),
                TunnelProtocol.CarrierPath => Upgrade(context, carrier.HandleAsync),
                TunnelProtocol.DataPath => Upgrade(context, data.HandleAsync),
                _ => hostname.HandleAsync(context),
            };
    }

    private static Task Upgrade(HttpContext context, RequestDelegate endpoint)
    {
        if (PublicRequest.IsMisdirected(context, service: null))
        {
            return UpgradeAnswers.MisdirectedAsync(context);
        }

        return PublicRequest.HasTooManyHeaders(context) ? UpgradeAnswers.HeadersTooLargeAsync(context) : endpoint(context);
    }

    private static void Configure(KestrelServerOptions kestrel, ServerSockets sockets, ICertificateSource? certificates, StateWatcher state)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        kestrel.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(30);

        // Before the headers are read nobody knows what the request is for, so these are an HTTP service's; the rest has less (PublicRequest).
        kestrel.Limits.MaxRequestHeaderCount = MaxHeaders;
        kestrel.Limits.MaxRequestHeadersTotalSize = MaxHeaderBytes;
        kestrel.Limits.MaxRequestBodySize = 0;
        kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(LeastBytesPerSecond, HandshakeTimeout);
        kestrel.Limits.MinResponseDataRate = new MinDataRate(LeastBytesPerSecond, HandshakeTimeout);

        // A byte is a byte: whatever a client or an origin writes into a header passes as it is.
        kestrel.RequestHeaderEncodingSelector = static _ => Encoding.Latin1;
        kestrel.ResponseHeaderEncodingSelector = static _ => Encoding.Latin1;

        // Room for all streams of a connection to be full at once: one that nobody reads must not stall the others.
        kestrel.Limits.Http2.MaxStreamsPerConnection = MaxHttp2Streams;
        kestrel.Limits.Http2.InitialStreamWindowSize = Http2StreamWindow;
        kestrel.Limits.Http2.InitialConnectionWindowSize = MaxHttp2Streams * Http2StreamWindow;
        kestrel.Limits.Http2.MaxRequestHeaderFieldSize = MaxHeaderBytes;
        kestrel.Limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(30);

        // A WebSocket's bytes pass through these pipes; larger ones only hold more of a stalled stream.
        kestrel.Limits.MaxRequestBufferSize = 128 * 1024;
        kestrel.Limits.MaxResponseBufferSize = 128 * 1024;
        foreach (var address in sockets.Public)
        {
            kestrel.Listen(address, listen =>
            {
                listen.Use(static next => connection => ServeAsync(next, connection));
                listen.Protocols = HttpProtocols.Http1;
                if (certificates is not null)
                {
                    listen.Protocols = HttpProtocols.Http1AndHttp2;
                    listen.UseHttps(Tls(certificates, state));
                }
            });
        }

        kestrel.Listen(sockets.Management, static listen =>
        {
            listen.Protocols = HttpProtocols.Http1;
            listen.Use(next => connection =>
            {
                connection.Features.Set(ManagementConnectionFeature.Instance);
                return next(connection);
            });
        });
    }

    /// <summary>A connection that <see cref="PublicListener"/> took in keeps its place until the web server has done with it.</summary>
    private static async Task ServeAsync(ConnectionDelegate next, ConnectionContext connection)
    {
        using var place = connection.Features.Get<AcceptPlace>();
        await next(connection);
    }

    private static TlsHandshakeCallbackOptions Tls(ICertificateSource certificates, StateWatcher state) => new()
    {
        HandshakeTimeout = HandshakeTimeout,
        OnConnection = context => ValueTask.FromResult(new SslServerAuthenticationOptions
        {
            ServerCertificateContext = certificates.Select(context.ClientHelloInfo.ServerName),
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,

            // What is upgraded to a WebSocket of ours speaks HTTP/1.1.
            ApplicationProtocols = state.Current.FindByHostname(context.ClientHelloInfo.ServerName ?? "")?.Web is null ? Upgradable : Any,
            ClientCertificateRequired = false,
        }),
    };

    /// <summary>The host does not listen for signals: <see cref="IngressHost"/> drains first and stops the server afterwards.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
