using System.CommandLine;
using System.Globalization;
using Shared.Hosting.CommandLine;
using Shared.Hosting.Configuration;
using Shared.Hosting.Lifetime;
using Shared.Hosting.Logging;
using TunnelIngress.Certificates;
using TunnelIngress.Configuration;
using TunnelIngress.Hosting;
using TunnelIngress.Pools;
using TunnelIngress.State;

namespace TunnelIngress;

/// <summary><c>tunnel-ingress run</c>.</summary>
internal static class RunCommand
{
    private const string Description = """
        Serve tunnels: terminate TLS, authenticate connectors and applications, carry their streams.

        Examples:
          tunnel-ingress run --listen 0.0.0.0:443 --certificate fullchain.pem --certificate-key key.pem
          tunnel-ingress run --dev-certificate --listen 127.0.0.1:8443 --local orders-db=127.0.0.1:6432
        """;

    public static Command Create()
    {
        var command = new Command("run", Description);
        var options = new RunOptions(command);
        options.Value("--state", "State", "State directory", "DIR");
        options.List("--listen", "Listen", "A public address; may be given several times", "ADDRESS");
        options.List("--public-port", "PublicPorts", "A port of the outside that leads to a public address of another; may be given several times", "PORT");
        options.Value("--certificate", "Certificate:File", "PEM chain or PFX file; read again when it changes", "FILE");
        options.Value("--certificate-key", "Certificate:KeyFile", "The PEM private key, if the certificate file does not hold it", "FILE");
        options.Value("--certificate-password-file", "Certificate:PasswordFile", "A file with the password of the PFX file or key", "FILE");
        options.Switch("--dev-certificate", "DevCertificate", "Development: make a local CA and certificates of it");
        options.Value("--management", "Management", "Health, metrics and connectors; loopback or unix:/path (127.0.0.1:9080)", "ADDRESS");
        options.List("--postgres", "Postgres:Listen", "A public address for PostgreSQL drivers; may be given several times", "ADDRESS");
        options.Value("--keys", "Keys", "The directory of the keys that encrypt the pools' credentials (STATE/keys)", "DIR");
        options.Pairs("--local", "A listener on this host for a service, without a token", "SERVICE=ADDRESS", static (index, service, address) =>
        {
            var key = string.Create(CultureInfo.InvariantCulture, $"Local:{index}");
            return [($"{key}:Service", service), ($"{key}:Listen", address)];
        });
        command.SetAction(async (result, _) => await RunAsync(new ConfigurationLayers(
            "TUNNEL_INGRESS__", result.GetValue(options.Config), options.Flags(result))));
        return command;
    }

    private static async Task<int> RunAsync(ConfigurationLayers layers)
    {
        IngressOptions Load() => layers.Load(static configuration => configuration.Get<IngressOptions>());
        var options = Load();
        var settings = IngressSettings.From(options);
        var directory = StateDirectory.Resolve(options.State);
        using var signals = new ProcessSignals();
        using var loggers = ProgramLog.Create(options.Log);
        var time = TimeProvider.System;
        var store = new SqliteStateStore(directory);
        var state = new StateWatcher(store, time, loggers.CreateLogger<StateWatcher>());
        await state.StartAsync(signals.Drain);
        await using var certificates = await CertificatesAsync(settings, directory, state, time, loggers, signals.Drain);
        var logger = loggers.CreateLogger<IngressHost>();
        await new IngressHost(settings, Reload, store, state, certificates, options.Keys ?? OriginSecrets.KeysIn(directory), time, loggers).RunAsync(signals);
        return ExitCodes.Success;

        IngressSettings Reload()
        {
            var next = IngressSettings.From(Load());

            // Without an address for PostgreSQL at the start there is nothing that could listen on one.
            string[] reloaded = settings.Postgres.Count > 0 ? ["Local", "Postgres:Listen"] : ["Local"];
            foreach (var key in layers.ChangedBeside(reloaded))
            {
                logger.RestartNeeded(key);
            }

            return next;
        }
    }

    /// <summary>Null when the public addresses speak no TLS.</summary>
    private static async Task<ICertificateSource?> CertificatesAsync(
        IngressSettings settings, string directory, StateWatcher state, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        if (settings.DevCertificate)
        {
            return await DevelopmentCertificateSource.CreateAsync(
                directory,
                hostname => state.Current.FindByHostname(hostname) is not null,
                time,
                loggers.CreateLogger<DevelopmentCertificateSource>(),
                cancellationToken);
        }

        return settings.Certificate.File is not null
            ? new FileCertificateSource(settings.Certificate, time, loggers.CreateLogger<FileCertificateSource>())
            : null;
    }
}
