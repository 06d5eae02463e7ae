using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Shared.Hosting.Configuration;
using Shared.Hosting.Lifetime;
using Shared.Management.Prometheus;
using Shared.Pooling.Hosting;
using Shared.Streams;
using Shared.Streams.Protocol;
using Shared.Streams.Relaying;
using Shared.Streams.Sockets;
using TunnelIngress.Access;
using TunnelIngress.Applications;
using TunnelIngress.Carriers;
using TunnelIngress.Certificates;
using TunnelIngress.Configuration;
using TunnelIngress.Connectors;
using TunnelIngress.Management;
using TunnelIngress.Metrics;
using TunnelIngress.Pools;
using TunnelIngress.State;
using TunnelIngress.Streams;
using TunnelIngress.Web;

namespace TunnelIngress.Hosting;

/// <summary>
/// The ingress's life: listeners → serve → drain → stop. SIGHUP reloads the listeners on this host and those for PostgreSQL; certificates and state need no signal.
/// </summary>
internal sealed class IngressHost(IngressSettings settings, Func<IngressSettings> reload, IStateStore store, StateWatcher state, ICertificateSource? certificates, string keys, TimeProvider time, ILoggerFactory loggers)
{
    /// <summary>The first servicing release without the faults published for 10.0 in October 2026.</summary>
    private static readonly Version FixedRuntime = new(10, 0, 13);

    /// <summary>What of the grace time the ingress's own pools may take before connectors are told to look elsewhere.</summary>
    private const double PoolsShareOfGrace = 0.75;

    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(2);

    private readonly ILogger<IngressHost> _logger = loggers.CreateLogger<IngressHost>();
    private readonly ServiceManager _serviceManager = new();

    /// <summary>Runs until the signals say otherwise and all streams have ended or were cut.</summary>
    /// <exception cref="IOException">An address cannot be bound.</exception>
    public async Task RunAsync(ProcessSignals signals)
    {
        using var sockets = ServerSockets.Bind(settings);
        await using var app = WebServer.Build(sockets, certificates, state, loggers, Register);
        var services = app.Services;
        var local = services.GetRequiredService<LocalListeners>();
        if (certificates is { ExpiresAt: not null })
        {
            services.GetRequiredService<IngressMetrics>().ObserveCertificate(() => certificates.ExpiresAt.Value - time.GetUtcNow());
        }

        await StartAsync(app);
        local.Apply(settings.Local);
        var postgres = StartPostgres(services);
        using var watching = new CancellationTokenSource();
        var withdrawal = new AccessWithdrawal(
            state, services.GetRequiredService<ConnectorRegistry>(), services.GetRequiredService<StreamSet<StreamInfo>>(), services.GetRequiredService<StreamSet<RequestInfo>>(),
            services.GetRequiredService<ApplicationCarriers>(), postgres, time, loggers.CreateLogger<AccessWithdrawal>());
        var recorder = new TokenUseRecorder(
            services.GetRequiredService<TokenUses>(), store, state, services.GetRequiredService<ConnectorRegistry>(), services.GetRequiredService<StreamSet<StreamInfo>>(),
            services.GetRequiredService<StreamSet<RequestInfo>>(), services.GetRequiredService<ApplicationCarriers>(), postgres, time, loggers.CreateLogger<TokenUseRecorder>());
        Task[] watchers = [withdrawal.RunAsync(watching.Token), state.RunAsync(watching.Token), recorder.RunAsync(watching.Token)];
        _serviceManager.Ready();

        await signals.WaitForDrainAsync(() => Reload(local, postgres), _logger);
        _serviceManager.Stopping();
        local.Close();
        await DrainAsync(services, postgres, signals.Stop);
        await watching.CancelAsync();
        await Task.WhenAll(watchers);
        await local.StopAsync(cut: new CancellationToken(canceled: true));
        using var stop = new CancellationTokenSource(StopTimeout, time);
        await app.StopAsync(stop.Token);
        _logger.Stopped();
    }

    private void Register(IServiceCollection services) => services
        .AddSingleton(settings)
        .AddSingleton(settings.Limits)
        .AddSingleton(time)
        .AddSingleton(state)
        .AddSingleton(services => ConnectionLimits.Budget(settings.Limits, services.GetRequiredService<IngressMetrics>(), time, _logger))
        .AddSingleton<FailedAccessLimiter>()
        .AddSingleton<TokenUses>()
        .AddSingleton<ApplicationPlaces>()
        .AddSingleton<AccessCheck>()
        .AddSingleton<ConnectorRegistry>()
        .AddSingleton<ControlEndpoint>()
        .AddSingleton<SessionUpgrade>()
        .AddSingleton<ConnectorCarriers>()
        .AddSingleton<ApplicationCarriers>()
        .AddSingleton<CarrierEndpoint>()
        .AddSingleton<DataEndpoint>()
        .AddSingleton<StreamSet<StreamInfo>>()
        .AddSingleton<StreamGate>()
        .AddSingleton<StreamBroker>()
        .AddSingleton<StreamService>()
        .AddHttpForwarder()
        .AddSingleton<StreamSet<RequestInfo>>()
        .AddSingleton<OriginSet>()
        .AddSingleton<WebEndpoint>()
        .AddSingleton<HostnameEndpoint>()
        .AddSingleton<LocalListeners>()
        .AddSingleton(new PrometheusExport(IngressMetrics.MeterName, PoolMetrics.MeterName))
        .AddSingleton<IngressMetrics>()
        .AddSingleton<ManagementEndpoint>();

    // Only for drivers, so without a port for them no pool opens anything.
    private PostgresPort? StartPostgres(IServiceProvider services)
    {
        if (settings.Postgres.Count == 0 || certificates is null)
        {
            return null;
        }

        var port = new PostgresPort(
            settings, state, services.GetRequiredService<StreamService>(), new OriginSecrets(keys), certificates, services.GetRequiredService<AccessCheck>(),
            services.GetRequiredService<AcceptBudget>(), services.GetRequiredService<ApplicationPlaces>(), time, loggers.CreateLogger<PostgresPort>());
        port.Listen(settings.Postgres);
        return port;
    }

    private void Reload(LocalListeners local, PostgresPort? postgres)
    {
        try
        {
            var next = reload();
            local.Apply(next.Local);
            postgres?.Listen(next.Postgres);
            _logger.Reloaded();
        }
        catch (ConfigurationException exception)
        {
            _logger.ReloadFailed(exception.Message);
        }
        catch (IOException exception)
        {
            _logger.ReloadIncomplete(exception.Message);
        }
    }

    private async Task StartAsync(WebApplication app)
    {
        if (Environment.Version < FixedRuntime)
        {
            _logger.RuntimeOutdated(Environment.Version.ToString(), FixedRuntime.ToString());
        }

        if (settings.Plaintext)
        {
            _logger.PlaintextListening();
        }

        await app.StartAsync();
        var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.ToArray();
        foreach (var address in addresses[..^1])
        {
            _logger.Listening(address);
        }

        _logger.ManagementListening(addresses[^1]);
    }

    /// <summary>
    /// Takes no new streams, lets its own pools finish, tells the connectors, waits for what still runs. The public address stays open meanwhile: a new
    /// application gets a 503 at once instead of a refused connection, and connectors keep their data channels.
    /// </summary>
    private async Task DrainAsync(IServiceProvider services, PostgresPort? postgres, CancellationToken stopNow)
    {
        var streams = services.GetRequiredService<StreamSet<StreamInfo>>();
        var requests = services.GetRequiredService<StreamSet<RequestInfo>>();
        var connectors = services.GetRequiredService<ConnectorRegistry>();
        _logger.Draining(streams.Count, requests.Count, settings.Grace.TotalSeconds);
        using var over = new CancellationTokenSource(settings.Grace, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(over.Token, stopNow);
        var gate = services.GetRequiredService<StreamGate>();
        gate.Drain();
        services.GetRequiredService<ApplicationCarriers>().Drain();

        // Pools open streams for as long as they have applications, and keep them open for ever: connectors are told when they have ended. Drivers
        // with pools of their own never leave by themselves, and the rest of the grace time is for what else there is.
        if (postgres is not null)
        {
            using var pools = new CancellationTokenSource(settings.Grace * PoolsShareOfGrace, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(pools.Token, limit.Token);
            await DrainAsync(postgres, either.Token);
        }

        await Task.WhenAll(connectors.All.Select(session => AnnounceDrainAsync(session, stopNow)));
        try
        {
            await requests.WhenEmptyAsync(limit.Token);

            // What is left of them are connections that wait for a next one.
            services.GetRequiredService<OriginSet>().CloseIdle();
            await gate.WhenEmptyAsync(time, limit.Token);

            // Whoever was refused is being told so.
            await services.GetRequiredService<LocalListeners>().StopAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            _logger.DrainCut(streams.Count, requests.Count);
        }

        var reason = new StreamAbort(AbortCode.Shutdown, "the ingress's grace time is over");
        requests.Close(reason);
        streams.Close(reason);
        await WhenCutAsync(streams);
        foreach (var session in connectors.All)
        {
            await session.Control.CloseAsync(System.Net.WebSockets.WebSocketCloseStatus.EndpointUnavailable, "ingress stops");
        }
    }

    // While their connectors' sessions still stand: the loss of a session says something else than why they were cut.
    private async Task WhenCutAsync(StreamSet<StreamInfo> streams)
    {
        using var limit = new CancellationTokenSource(StopTimeout, time);
        try
        {
            await streams.WhenEmptyAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            // Whoever takes nothing, not even an end, sees that of its connection.
        }
    }

    private async Task DrainAsync(PostgresPort postgres, CancellationToken cancellationToken)
    {
        try
        {
            await postgres.DrainAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            _logger.PostgresDrainCut(postgres.ClientCount);
        }

        await postgres.DisposeAsync();
    }

    private async Task AnnounceDrainAsync(ConnectorSession session, CancellationToken cancellationToken)
    {
        session.Drain();
        try
        {
            await session.Control.SendAsync(new Drain(), cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            _logger.RefusalNotDelivered(exception.Message);
        }
    }
}
