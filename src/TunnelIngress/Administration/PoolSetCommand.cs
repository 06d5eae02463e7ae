using System.Collections.Immutable;
using System.CommandLine;
using Shared.Pooling.Hosting;
using Shared.Streams.Dialing;
using TunnelIngress.Pools;
using TunnelIngress.State;

namespace TunnelIngress.Administration;

/// <summary><c>tunnel-ingress pool set</c>.</summary>
internal sealed class PoolSetCommand
{
    private const string Description = """
        Make a service's pool, or change the one it has: what is not given stays as it is, and an empty value takes a setting away.

        Examples:
          tunnel-ingress pool set orders-db --user orders --password-file orders.password --database orders
          tunnel-ingress pool set orders-db --set QueryTimeoutSeconds=30 --set Refuse:0=Listen
        """;

    /// <summary>Never dialled: the options are checked only.</summary>
    private static readonly IDialer NoDialer =
        TargetAddress.Parse("tcp://127.0.0.1:1").CreateDialer(CertificateTrust.System, TimeSpan.FromSeconds(1), TimeProvider.System);

    private readonly Argument<string> _service = NameArguments.Existing("service");
    private readonly Option<string?> _passwordFile = FileOption("--password-file", "A file with the user's password; - for standard input");
    private readonly Option<string?> _caFile = FileOption("--ca-file", "PEM roots that the database's certificate must chain to");
    private readonly Option<string?> _certificate = FileOption("--client-certificate", "Our certificate for the database, in PEM");
    private readonly Option<string?> _key = FileOption("--client-key", "Its key, in PEM");
    private readonly Option<string?> _keys = new("--keys") { Description = "The directory of the keys that encrypt credentials, as of 'run' (STATE/keys)", HelpName = "DIR" };
    private readonly Option<string[]> _others = new("--set")
    {
        Description = "Another setting, e.g. QueryTimeoutSeconds=30; docs/configuration.md lists them",
        HelpName = "KEY=VALUE",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly (Option<string?> Option, string Key)[] _settings =
    [
        Setting("--user", "User", "The user that the pool logs in as", "USER"),
        Setting("--database", "Database", "The one database that applications get; without it they name any", "NAME"),
        Setting("--tls", "Tls", "TLS to the database, inside the tunnel: disable, prefer, require, verify-ca, verify-full (prefer)", "MODE"),
        Setting("--server-name", "ServerName", "The name in the database's certificate", "NAME"),
        Setting("--mode", "Mode", "transaction, session or statement (transaction)", "MODE"),
        Setting("--max", "Max", "Connections to the database at most (20)", "NUMBER"),
        Setting("--min", "Min", "Connections kept open (0)", "NUMBER"),
    ];

    /// <summary>Makes the command.</summary>
    public Command Create()
    {
        var command = new Command("set", Description) { _service, _passwordFile, _caFile, _certificate, _key, _keys, _others };
        foreach (var (option, _) in _settings)
        {
            command.Options.Add(option);
        }

        _others.Validators.Add(static result =>
        {
            if (result.Tokens.FirstOrDefault(static token => token.Value.IndexOf('=', StringComparison.Ordinal) < 1) is { } wrong)
            {
                result.AddError($"'{wrong.Value}' is not KEY=VALUE.");
            }
        });
        AdminContext.Attach(command, RunAsync);
        return command;
    }

    private static Option<string?> FileOption(string name, string description) => new(name) { Description = description, HelpName = "FILE" };

    private static (Option<string?> Option, string Key) Setting(string name, string key, string description, string helpName) =>
        (new Option<string?>(name) { Description = description, HelpName = helpName }, key);

    private static async Task<string?> PasswordAsync(string? file, CancellationToken cancellationToken) => file == "-"
        ? (await Console.In.ReadToEndAsync(cancellationToken)).TrimEnd('\r', '\n')
        : PasswordSetting.Read("--password-file", file, password: null);

    private async Task RunAsync(AdminContext context, ParseResult result, CancellationToken cancellationToken)
    {
        var name = result.GetRequiredValue(_service);

        // Before the state is held: a password may come from standard input.
        var given = await SecretAsync(result, cancellationToken);
        var settings = Given(result);
        var (pool, secret) = (default(ServicePool)!, OriginSecret.None);
        var service = await context.Store.SetPoolAsync(
            name,
            known =>
            {
                var secrets = new OriginSecrets(result.GetValue(_keys) ?? OriginSecrets.KeysIn(context.StateDirectory));
                var kept = known is null ? OriginSecret.None : Kept(secrets, known, isReplaced: given.Password is not null);
                secret = new OriginSecret(given.Password ?? kept.Password, given.Certificate ?? kept.Certificate);
                pool = new ServicePool(name, Merge(settings, known), secrets.Protect(name, secret), AdminContext.Time.GetUtcNow());
                ServicePoolOptions.Define(pool, secret, NoDialer);
                return pool;
            },
            cancellationToken);
        await context.WriteAsync(
            new { pool.Service, pool.Settings, HasPassword = secret.Password is not null, HasCertificate = secret.Certificate is not null },
            $"""
            Service '{name}' is pooled. An application connects to the ingress's PostgreSQL port (run --postgres ADDRESS), with its token:
              {PsqlExample.Versions}
              {PsqlExample.For(service.Hostname, ServicePoolOptions.From(pool).Database ?? "DATABASE")}
            """);
    }

    private (string Key, string? Value)[] Given(ParseResult result) =>
    [
        .. _settings.Select(setting => (setting.Key, result.GetValue(setting.Option))),
        ("Ca", PemCertificates.ReadFile("--ca-file", result.GetValue(_caFile))),
        .. (result.GetValue(_others) ?? []).Select(static other => other.Split('=', 2)).Select(static parts => (parts[0], (string?)parts[1])),
    ];

    private static ImmutableSortedDictionary<string, string> Merge((string Key, string? Value)[] given, ServicePool? known)
    {
        var merged = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.OrdinalIgnoreCase);
        merged.AddRange(known?.Settings ?? ImmutableSortedDictionary<string, string>.Empty);
        foreach (var (key, value) in given)
        {
            if (value is { Length: > 0 })
            {
                merged[key] = value;
            }
            else if (value is not null)
            {
                merged.Remove(key);
            }
        }

        return merged.ToImmutable();
    }

    /// <summary>What the command line says of it; null where it says nothing.</summary>
    private async Task<OriginSecret> SecretAsync(ParseResult result, CancellationToken cancellationToken) => new(
        await PasswordAsync(result.GetValue(_passwordFile), cancellationToken),
        PemCertificates.ReadFile("--client-certificate", result.GetValue(_certificate)) is { } pem
            ? $"{pem}\n{PemCertificates.ReadFile("--client-key", result.GetValue(_key))}"
            : null);

    // A password may be set again because the keys of the old one are lost.
    private static OriginSecret Kept(OriginSecrets secrets, ServicePool known, bool isReplaced)
    {
        try
        {
            return secrets.Unprotect(known.Service, known.Secret);
        }
        catch (IOException) when (isReplaced)
        {
            return OriginSecret.None;
        }
    }
}
