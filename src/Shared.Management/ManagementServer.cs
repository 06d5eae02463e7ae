using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Shared.Management.Prometheus;
using Shared.Streams.Sockets;

namespace Shared.Management;

/// <summary>
/// The management address of a program that has no other web server. Kestrel alone, without a host around it, which keeps native programs small.
/// </summary>
public sealed class ManagementServer : IAsyncDisposable
{
    /// <summary>For probes and scrapes; one who opens more keeps out others of his kind, and no stream.</summary>
    private const int MaxConnections = 256;

    private static readonly TimeSpan HeadersTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan KeepAliveTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(1);

    private readonly Socket _socket;
    private readonly KestrelServer _server;
    private readonly PrometheusExport _export;

    private ManagementServer(Socket socket, ListenAddress address, KestrelServer server, PrometheusExport export)
    {
        (_socket, _server, _export) = (socket, server, export);
        LocalAddress = address.BoundBy(socket);
    }

    /// <summary>The address with the port that the system chose.</summary>
    internal ListenAddress LocalAddress { get; }

    /// <summary>Serves until it is disposed of; null without an address.</summary>
    /// <param name="address">Where; null for nowhere.</param>
    /// <param name="readiness">Asked at each request for <c>/readyz</c>, on several threads; must not block.</param>
    /// <param name="loggers">For a line with the address, and for Kestrel.</param>
    /// <param name="meters">What <c>/metrics</c> tells. Counts what happens from now on, so it starts before anything happens.</param>
    /// <exception cref="IOException">The address cannot be bound; the message says why and what to do.</exception>
    public static async Task<ManagementServer?> StartAsync(
        ListenAddress? address, Func<Readiness> readiness, ILoggerFactory loggers, params string[] meters)
    {
        if (address is null)
        {
            return null;
        }

        // Bound before there is a web server, which would also log where in it that failed.
        var socket = ListenSocket.Bind(address);
        var transport = new SocketTransportFactory(Options.Create(new SocketTransportOptions { CreateBoundListenSocket = _ => socket }), loggers);
        var server = new KestrelServer(Options.Create(OptionsFor(socket.LocalEndPoint!)), transport, loggers);
        var management = new ManagementServer(socket, address, server, new PrometheusExport(meters));
        try
        {
            await server.StartAsync(new Application(new ManagementPages(readiness, management._export)), CancellationToken.None);
        }
        catch
        {
            await management.DisposeAsync();
            throw;
        }

        loggers.CreateLogger<ManagementServer>().ManagementListening(server.Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.Single());
        return management;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        using (var stop = new CancellationTokenSource(StopTimeout))
        {
            await _server.StopAsync(stop.Token);
        }

        _server.Dispose();
        _socket.Dispose();
        _export.Dispose();
    }

    private static KestrelServerOptions OptionsFor(EndPoint address)
    {
        var options = new KestrelServerOptions { AddServerHeader = false };
        options.Limits.MaxConcurrentConnections = MaxConnections;
        options.Limits.MaxRequestBodySize = 0;
        options.Limits.RequestHeadersTimeout = HeadersTimeout;
        options.Limits.KeepAliveTimeout = KeepAliveTimeout;
        options.Listen(address, static listen => listen.Protocols = HttpProtocols.Http1);
        return options;
    }

    private sealed class Application(ManagementPages pages) : IHttpApplication<HttpContext>
    {
        public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

        public async Task ProcessRequestAsync(HttpContext context)
        {
            try
            {
                await pages.HandleAsync(context);
            }
            catch (Exception exception) when (exception is IOException or OperationCanceledException && context.RequestAborted.IsCancellationRequested)
            {
                // Whoever asked has gone.
            }
        }

        public void DisposeContext(HttpContext context, Exception? exception)
        {
            // It holds nothing that its connection does not.
        }
    }
}
