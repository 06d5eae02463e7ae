using System.CommandLine;
using Shared.Hosting.Configuration;
using Shared.Pooling.Hosting;
using TunnelIngress.State;

namespace TunnelIngress.Administration;

/// <summary>The options of <c>service add</c> and <c>service set</c> that say what a service speaks.</summary>
internal sealed class WebOptions
{
    private const string Keep = "keep";
    private static readonly TimeSpan MaxIdle = TimeSpan.FromDays(30);

    private readonly Option<string?> _protocol = Choice("--protocol", "What its hostname speaks: tcp (plain bytes), or http or https as its target does (tcp)", "tcp", "http", "https");
    private readonly Option<string?> _access = Choice("--access", "HTTP: who may send requests, service-token or public (service-token)", "service-token", "public");
    private readonly Option<string?> _hostHeader = Value("--host-header", "HTTP: the Host that the target gets, or keep for the hostname (keep)", "NAME");
    private readonly Option<string?> _idleTimeout = Value("--idle-timeout", "HTTP: how long a request may be silent, e.g. 90s or 24h (15m)", "TIME");
    private readonly Option<string?> _caFile = Value("--ca-file", "https: PEM roots that the target's certificate must chain to, instead of the system's", "FILE");
    private readonly Option<string?> _serverName = Value("--server-name", "https: the name in the target's certificate (the Host)", "NAME");
    private readonly Option<string?> _verify = Choice("--tls-verify", "https: on, or off to take any certificate (on)", "on", "off");

    public WebOptions()
    {
        _hostHeader.Validators.Add(static result =>
        {
            if (result.Tokens is [{ Value: not ("" or Keep) } token, ..] && FaultOfHost(token.Value))
            {
                result.AddError($"'{token.Value}' is not a host. Write a name or name:port, or keep.");
            }
        });
        _serverName.Validators.Add(static result =>
        {
            if (result.Tokens is [{ Value.Length: > 0 } token, ..] && Names.NormalizeHostname(token.Value) is null)
            {
                result.AddError($"'{token.Value}' is not a hostname.");
            }
        });
        _idleTimeout.Validators.Add(static result =>
        {
            if (result.Tokens is [var token, ..] && (!Durations.TryParse(token.Value, out var time) || time == TimeSpan.Zero || time > MaxIdle))
            {
                result.AddError($"'{token.Value}' is not a time. Write 1s to 30d, for example 15m.");
            }
        });
    }

    /// <summary>True when the command line says anything of it.</summary>
    public bool AreGiven(ParseResult result) => All.Any(option => result.GetValue(option) is not null);

    public void AddTo(Command command)
    {
        foreach (var option in All)
        {
            command.Options.Add(option);
        }
    }

    /// <summary>What the command line says, its files read.</summary>
    /// <returns>
    /// Makes of what is known what the command line changes it to; null is a service of plain bytes. Throws <see cref="StateException"/> when the options do
    /// not go together.
    /// </returns>
    /// <exception cref="ConfigurationException">A file cannot be used.</exception>
    public Func<WebOrigin?, WebOrigin?> Read(ParseResult result)
    {
        var ca = Ca(result);
        return known => Change(result, ca, known);
    }

    private WebOrigin? Change(ParseResult result, string? ca, WebOrigin? known)
    {
        var protocol = result.GetValue(_protocol) ?? known switch { null => "tcp", { Tls: true } => "https", _ => "http" };
        if (protocol == "tcp")
        {
            return Array.TrueForAll(Others, option => result.GetValue(option) is null)
                ? null
                : throw new StateException($"A service of plain bytes has no settings of HTTP. Give --protocol http or --protocol https with {GivenNames(result, Others)}.");
        }

        var origin = known ?? WebOrigin.Default;
        var tls = protocol == "https";
        if (!tls && !Array.TrueForAll(OfTls, option => result.GetValue(option) is null))
        {
            throw new StateException($"A target that speaks http has no certificate. Give --protocol https with {GivenNames(result, OfTls)}.");
        }

        return new WebOrigin(
            tls,
            result.GetValue(_access) switch { null => origin.Access, "public" => WebAccess.Public, _ => WebAccess.ServiceToken },
            result.GetValue(_hostHeader) switch { null => origin.HostHeader, "" or Keep => null, var name => name },
            result.GetValue(_verify) switch { null => origin.Verify || !tls, var verify => verify == "on" },
            tls ? Given(ca, origin.Ca) : null,
            tls ? Given(result.GetValue(_serverName), origin.ServerName) : null,
            result.GetValue(_idleTimeout) is { } idle && Durations.TryParse(idle, out var time) ? time : origin.IdleTimeout);
    }

    private Option<string?>[] All => [_protocol, .. Others];

    private Option<string?>[] Others => [_access, _hostHeader, _idleTimeout, .. OfTls];

    private Option<string?>[] OfTls => [_caFile, _serverName, _verify];

    private static Option<string?> Value(string name, string description, string helpName) => new(name) { Description = description, HelpName = helpName };

    private static Option<string?> Choice(string name, string description, params string[] values)
    {
        var option = Value(name, description, string.Join('|', values));
        option.AcceptOnlyFromAmong(values);
        return option;
    }

    private static string? Given(string? value, string? otherwise) => value switch { null => otherwise, "" => null, _ => value };

    private static string GivenNames(ParseResult result, Option<string?>[] options) =>
        string.Join(", ", options.Where(option => result.GetValue(option) is not null).Select(static option => option.Name));

    // A name, perhaps with a port, and nothing that could be two headers.
    private static bool FaultOfHost(string host)
    {
        var colon = host.LastIndexOf(':');
        var name = colon < 0 ? host : host[..colon];
        return Uri.CheckHostName(name) is UriHostNameType.Unknown || (colon >= 0 && !ushort.TryParse(host.AsSpan(colon + 1), out _));
    }

    private string? Ca(ParseResult result)
    {
        var file = result.GetValue(_caFile);
        if (string.IsNullOrEmpty(file))
        {
            return file;
        }

        var pem = PemCertificates.ReadFile("--ca-file", file)!;
        PemCertificates.Roots("--ca-file", pem);
        return pem;
    }
}
