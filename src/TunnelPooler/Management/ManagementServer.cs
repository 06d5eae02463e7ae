using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Shared.Pooling.Hosting;
using Shared.Pooling.Postgres;
using Shared.Streams.Sockets;

namespace TunnelPooler.Management;

/// <summary>
/// The management address: <c>/healthz</c> (the process lives), <c>/readyz</c> (it takes clients), <c>/metrics</c> (Prometheus).
/// </summary>
internal sealed class ManagementServer : IAsyncDisposable
{
    private readonly Socket _socket;
    private readonly WebApplication _app;
    private readonly PoolMetrics _metrics;
    private readonly PrometheusExport _export;

    private ManagementServer(Socket socket, WebApplication app, PoolMetrics metrics, PrometheusExport export)
    {
        (_socket, _app, _metrics, _export) = (socket, app, metrics, export);
    }

    /// <summary>The address with the port that the system chose.</summary>
    public string Address => _app.Urls.Single();

    /// <summary>Serves until it is disposed of; null without an address.</summary>
    /// <param name="address">Where; null for nowhere.</param>
    /// <param name="pooler">What is told about.</param>
    /// <param name="loggers">For Kestrel.</param>
    /// <param name="draining">Cancelled when no new clients are taken.</param>
    /// <exception cref="IOException">The address cannot be bound; the message says why and what to do.</exception>
    public static async Task<ManagementServer?> StartAsync(ListenAddress? address, PostgresPooler pooler, ILoggerFactory loggers, CancellationToken draining)
    {
        if (address is null)
        {
            return null;
        }

        // Bound before there is a web server, which would also log where in it that failed.
        var socket = ListenSocket.Bind(address);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(loggers);
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.WebHost.UseKestrelCore()
            .UseSockets(options => options.CreateBoundListenSocket = _ => socket)
            .ConfigureKestrel(kestrel => Configure(kestrel, socket.LocalEndPoint!));
        var app = builder.Build();
        var export = new PrometheusExport(PoolMetrics.MeterName);
        var server = new ManagementServer(socket, app, new PoolMetrics(pooler), export);
        app.Run(context => server.HandleAsync(context, draining));
        try
        {
            await app.StartAsync(CancellationToken.None);
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }

        return server;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _socket.Dispose();
        _metrics.Dispose();
        _export.Dispose();
    }

    private static void Configure(KestrelServerOptions kestrel, EndPoint address)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = 0;
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        kestrel.Listen(address);
    }

    private Task HandleAsync(HttpContext context, CancellationToken draining)
    {
        switch (context.Request.Path.Value)
        {
            case "/healthz":
                return WriteAsync(context, StatusCodes.Status200OK, "alive");
            case "/readyz":
                return draining.IsCancellationRequested
                    ? WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "draining")
                    : WriteAsync(context, StatusCodes.Status200OK, "ready");
            case "/metrics":
                context.Response.ContentType = PrometheusExport.ContentType;
                return _export.WriteAsync(context.Response.Body, context.RequestAborted);
            default:
                return WriteAsync(context, StatusCodes.Status404NotFound, "There is /healthz, /readyz and /metrics.");
        }
    }

    private static Task WriteAsync(HttpContext context, int status, string text)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync($"{text}\n", context.RequestAborted);
    }

    /// <summary>The program handles its signals itself.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
