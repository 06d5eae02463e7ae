using System.CommandLine;
using TunnelIngress.State;

namespace TunnelIngress.Administration;

/// <summary><c>tunnel-ingress service add|list|remove</c>.</summary>
internal static class ServiceCommands
{
    public static Command Create() => new("service", """
        Add, list and remove services.

        A service is one private target with a public hostname. Where the target is, only the connector's own configuration says.

        Examples:
          tunnel-ingress service add orders-db --hostname orders-db.tunnel.example.com --tunnel vpc
          tunnel-ingress service list --json
        """)
    {
        Add(),
        List(),
        Remove(),
    };

    private static Command Add()
    {
        var name = NameArguments.New("service");
        var hostname = new Option<string>("--hostname") { Description = "The public hostname", HelpName = "HOST", Required = true };
        var tunnel = new Option<string>("--tunnel") { Description = "The tunnel that owns it", HelpName = "TUNNEL", Required = true };
        hostname.Validators.Add(static result =>
        {
            if (result.Tokens is [var token, ..] && Names.NormalizeHostname(token.Value) is null)
            {
                result.AddError($"'{token.Value}' is not a hostname. Write something like orders-db.tunnel.example.com, without scheme or port.");
            }
        });
        var command = new Command(
            "add", "Add a service.\n\nExample:\n  tunnel-ingress service add orders-db --hostname orders-db.tunnel.example.com --tunnel vpc")
        {
            name, hostname, tunnel,
        };
        AdminContext.Attach(command, async (context, result, cancellationToken) =>
        {
            var service = new Service(
                result.GetRequiredValue(name),
                Names.NormalizeHostname(result.GetRequiredValue(hostname))!,
                result.GetRequiredValue(tunnel),
                AdminContext.Time.GetUtcNow());
            await context.Store.AddServiceAsync(service, cancellationToken);
            await context.WriteAsync(
                service,
                $"Service '{service.Name}' added as {service.Hostname}. Next: a token for its applications, tunnel-ingress token create NAME --access {service.Name}");
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
                state.Services.Values.OrderBy(static service => service.Name, StringComparer.Ordinal).ToArray(),
                ("NAME", static service => service.Name),
                ("HOSTNAME", static service => service.Hostname),
                ("TUNNEL", static service => service.Tunnel),
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
            await context.Store.RemoveServiceAsync(service, cancellationToken);
            await context.WriteAsync(new { Removed = service }, $"Service '{service}' removed.");
        });
        return command;
    }
}
