using System.CommandLine;
using TunnelIngress.State;

namespace TunnelIngress.Administration;

/// <summary><c>tunnel-ingress tunnel add|list|remove</c>.</summary>
internal static class TunnelCommands
{
    public static Command Create() => new("tunnel", """
        Add, list and remove tunnels.

        A tunnel pairs connectors with the services they serve.

        Examples:
          tunnel-ingress tunnel add vpc
          tunnel-ingress tunnel list --json
        """)
    {
        Add(),
        List(),
        Remove(),
    };

    private static Command Add()
    {
        var name = NameArguments.New("tunnel");
        var command = new Command("add", "Add a tunnel; the first one makes the state directory.\n\nExample:\n  tunnel-ingress tunnel add vpc") { name };
        AdminContext.AttachFirst(command, async (context, result, cancellationToken) =>
        {
            var tunnel = new Tunnel(result.GetRequiredValue(name), AdminContext.Time.GetUtcNow());
            await context.Store.AddTunnelAsync(tunnel, cancellationToken);
            await context.WriteAsync(
                tunnel,
                $"Tunnel '{tunnel.Name}' added to the state in {context.StateDirectory}. Next: tunnel-ingress service add NAME --hostname HOST --tunnel {tunnel.Name}");
        });
        return command;
    }

    private static Command List()
    {
        var command = new Command("list", "List tunnels.\n\nExample:\n  tunnel-ingress tunnel list");
        AdminContext.Attach(command, async (context, _, cancellationToken) =>
        {
            var state = await context.Store.LoadAsync(cancellationToken);
            var rows = state.Tunnels.Values.OrderBy(static tunnel => tunnel.Name, StringComparer.Ordinal)
                .Select(tunnel => new
                {
                    tunnel.Name,
                    Services = state.Services.Values.Where(service => service.Tunnel == tunnel.Name).Select(static service => service.Name).Order(StringComparer.Ordinal).ToArray(),
                    tunnel.CreatedAt,
                })
                .ToArray();
            await context.WriteTableAsync(
                rows, ("NAME", static row => row.Name), ("SERVICES", static row => string.Join(", ", row.Services)), ("CREATED", static row => Times.Of(row.CreatedAt)));
        });
        return command;
    }

    private static Command Remove()
    {
        var name = NameArguments.Existing("tunnel");
        var command = new Command("remove", "Remove a tunnel that owns no services any more.\n\nExample:\n  tunnel-ingress tunnel remove vpc") { name };
        AdminContext.Attach(command, async (context, result, cancellationToken) =>
        {
            var tunnel = result.GetRequiredValue(name);
            await context.Store.RemoveTunnelAsync(tunnel, AdminContext.Time.GetUtcNow(), cancellationToken);
            await context.WriteAsync(new { Removed = tunnel }, $"Tunnel '{tunnel}' removed.");
        });
        return command;
    }
}
