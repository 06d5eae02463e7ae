using System.CommandLine;
using TunnelIngress.State;

namespace TunnelIngress.Administration;

/// <summary><c>tunnel-ingress service add|set|list|remove</c>.</summary>
internal static class ServiceCommands
{
    public static Command Create() => new("service", """
        Add, change, list and remove services.

        A service is one private target with a public hostname. Where the target is, only the connector's own configuration says.
        The hostname carries plain bytes in WebSockets, or, with --protocol, the HTTP of a private web server.

        Examples:
          tunnel-ingress service add orders-db --hostname orders-db.tunnel.example.com --tunnel vpc
          tunnel-ingress service add grafana --hostname grafana.tunnel.example.com --tunnel vpc --protocol http
          tunnel-ingress service set grafana --access public
          tunnel-ingress service set orders-db --hostname orders.tunnel.example.com
          tunnel-ingress service list --json
        """)
    {
        Add(),
        Set(),
        List(),
        Remove(),
    };

    private static Command Add()
    {
        var name = NameArguments.New("service");
        var hostname = HostnameOption("The public hostname");
        hostname.Required = true;
        var tunnel = new Option<string>("--tunnel") { Description = "The tunnel that owns it", HelpName = "TUNNEL", Required = true };
        var web = new WebOptions();
        var command = new Command("add", """
            Add a service.

            Examples:
              tunnel-ingress service add orders-db --hostname orders-db.tunnel.example.com --tunnel vpc
              tunnel-ingress service add grafana --hostname grafana.tunnel.example.com --tunnel vpc --protocol http
              tunnel-ingress service add wiki --hostname wiki.tunnel.example.com --tunnel vpc --protocol https --ca-file wiki-ca.pem --access public
            """)
        {
            name, hostname, tunnel,
        };
        web.AddTo(command);
        AdminContext.Attach(command, async (context, result, cancellationToken) =>
        {
            var service = new Service(
                result.GetRequiredValue(name),
                Names.NormalizeHostname(result.GetRequiredValue(hostname)!)!,
                result.GetRequiredValue(tunnel),
                AdminContext.Time.GetUtcNow())
            {
                Web = web.Read(result)(null),
            };
            await context.Store.AddServiceAsync(service, cancellationToken);
            await context.WriteAsync(
                Row.Of(service),
                service.Web is { Access: WebAccess.Public }
                    ? $"Service '{service.Name}' added as {service.Hostname}, for everybody."
                    : $"Service '{service.Name}' added as {service.Hostname}. Next: a token for its applications, tunnel-ingress token create NAME --access {service.Name}");
        });
        return command;
    }

    private static Command Set()
    {
        var name = NameArguments.Existing("service");
        var hostname = HostnameOption("Another public hostname; running streams go on");
        var web = new WebOptions();
        var command = new Command("set", """
            Change a service's hostname, what it speaks and who may use it: what is not given stays as it is, and an empty value takes a setting away.

            Examples:
              tunnel-ingress service set orders-db --hostname orders.tunnel.example.com
              tunnel-ingress service set grafana --access public
              tunnel-ingress service set wiki --protocol https --ca-file wiki-ca.pem --server-name wiki.internal
            """) { name, hostname };
        web.AddTo(command);
        AdminContext.Attach(command, async (context, result, cancellationToken) =>
        {
            if (!web.AreGiven(result) && result.GetValue(hostname) is null)
            {
                throw new StateException("Nothing is to be changed. Give one of the options that 'tunnel-ingress service set --help' lists.");
            }

            var change = web.Read(result);
            var changed = await context.Store.SetServiceAsync(
                result.GetRequiredValue(name),
                service => service with
                {
                    Hostname = result.GetValue(hostname) is { } other ? Names.NormalizeHostname(other)! : service.Hostname,
                    Web = change(service.Web),
                },
                cancellationToken);
            await context.WriteAsync(Row.Of(changed), $"Service '{changed.Name}' is {changed.Hostname} and speaks {changed.Protocol}; access: {changed.Access}.");
        });
        return command;
    }

    private static Command List()
    {
        var command = new Command("list", "List services.\n\nExample:\n  tunnel-ingress service list");
        AdminContext.Attach(command, async (context, _, cancellationToken) =>
        {
            var state = await context.Store.LoadAsync(cancellationToken);
            await context.WriteTableAsync(
                state.Services.Values.OrderBy(static service => service.Name, StringComparer.Ordinal).Select(Row.Of).ToArray(),
                ("NAME", static service => service.Name),
                ("HOSTNAME", static service => service.Hostname),
                ("TUNNEL", static service => service.Tunnel),
                ("PROTOCOL", static service => service.Protocol),
                ("ACCESS", static service => service.Access),
                ("CREATED", static service => Times.Of(service.CreatedAt)));
        });
        return command;
    }

    private static Command Remove()
    {
        var name = NameArguments.Existing("service");
        var command = new Command(
            "remove", "Remove a service: its streams are cut, and it leaves the scope of every token.\n\nExample:\n  tunnel-ingress service remove orders-db") { name };
        AdminContext.Attach(command, async (context, result, cancellationToken) =>
        {
            var service = result.GetRequiredValue(name);
            var now = AdminContext.Time.GetUtcNow();
            var losing = (await context.Store.RemoveServiceAsync(service, cancellationToken))
                .Where(token => token.IsUsableAt(now))
                .OrderBy(static token => token.CreatedAt)
                .Select(static token => new { token.ClientId, token.Name })
                .ToArray();
            await context.WriteAsync(
                new { Removed = service, TokensLosingAccess = losing },
                losing.Length == 0
                    ? $"Service '{service}' removed."
                    : $"Service '{service}' removed. Tokens that have lost it: {string.Join(", ", losing.Select(static token => $"{token.ClientId} ({token.Name})"))}");
        });
        return command;
    }

    private static Option<string?> HostnameOption(string description)
    {
        var option = new Option<string?>("--hostname") { Description = description, HelpName = "HOST" };
        option.Validators.Add(static result =>
        {
            if (result.Tokens is [var token, ..] && Names.NormalizeHostname(token.Value) is null)
            {
                result.AddError($"'{token.Value}' is not a hostname. Write something like orders-db.tunnel.example.com, without scheme or port.");
            }
        });
        return option;
    }

    /// <summary>A service as people and programs read it.</summary>
    private sealed record Row(string Name, string Hostname, string Tunnel, string Protocol, string Access, object? Web, DateTimeOffset CreatedAt)
    {
        public static Row Of(Service service) => new(
            service.Name,
            service.Hostname,
            service.Tunnel,
            service.Protocol,
            service.Access,
            service.Web is { } web
                ? new { HostHeader = web.HostHeader ?? "keep", TlsVerify = web.Verify, HasCa = web.Ca is not null, web.ServerName, IdleTimeoutSeconds = web.IdleTimeout.TotalSeconds }
                : null,
            service.CreatedAt);
    }
}
