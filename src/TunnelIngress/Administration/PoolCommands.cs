using System.CommandLine;
using System.Globalization;
using TunnelIngress.Pools;

namespace TunnelIngress.Administration;

/// <summary><c>tunnel-ingress pool set|list|remove</c>.</summary>
internal static class PoolCommands
{
    public static Command Create() => new("pool", $"""
        Let the ingress pool a service's PostgreSQL, so that ordinary drivers reach it with a service token and nothing else.

        The ingress logs in to the database as one user and shares few connections among all applications. Applications connect to
        the PostgreSQL port of the ingress (run --postgres ADDRESS) at the service's hostname; the user is a token's client id, the
        password its client secret. The database's password is encrypted before it is stored, and never shown again.

        Examples:
          tunnel-ingress pool set orders-db --user orders --password-file orders.password --database orders
          tunnel-ingress pool set orders-db --tls verify-full --ca-file db-ca.pem --server-name db.internal --max 40
          tunnel-ingress pool list
          {PsqlExample.Versions}
          {PsqlExample.For("orders-db.tunnel.example.com", "orders")}
        """)
    {
        new PoolSetCommand().Create(),
        List(),
        Remove(),
    };

    private static Command List()
    {
        var command = new Command("list", "List pools; never their secrets.\n\nExample:\n  tunnel-ingress pool list");
        AdminContext.Attach(command, async (context, _, cancellationToken) =>
        {
            var state = await context.Store.LoadAsync(cancellationToken);
            var rows = state.Pools.Values
                .OrderBy(static pool => pool.Service, StringComparer.Ordinal)
                .Select(static pool => (Pool: pool, Options: ServicePoolOptions.From(pool)))
                .Select(static row => new
                {
                    row.Pool.Service,
                    row.Options.User,
                    row.Options.Database,
                    row.Options.Mode,
                    row.Options.Max,
                    row.Options.Tls,
                    Settings = row.Pool.Settings.Remove("Ca"),
                    HasSecret = !row.Pool.Secret.IsEmpty,
                    row.Pool.UpdatedAt,
                })
                .ToArray();
            await context.WriteTableAsync(
                rows,
                ("SERVICE", static row => row.Service),
                ("USER", static row => row.User ?? ""),
                ("DATABASE", static row => row.Database ?? "any"),
                ("MODE", static row => row.Mode),
                ("MAX", static row => row.Max.ToString(CultureInfo.InvariantCulture)),
                ("TLS", static row => row.Tls),
                ("UPDATED", static row => Times.Of(row.UpdatedAt)));
        });
        return command;
    }

    private static Command Remove()
    {
        var name = NameArguments.Existing("service");
        var command = new Command(
            "remove", "Remove a service's pool: its applications are disconnected, its credentials deleted.\n\nExample:\n  tunnel-ingress pool remove orders-db") { name };
        AdminContext.Attach(command, async (context, result, cancellationToken) =>
        {
            var service = result.GetRequiredValue(name);
            await context.Store.RemovePoolAsync(service, cancellationToken);
            await context.WriteAsync(new { Removed = service }, $"The pool of service '{service}' is removed.");
        });
        return command;
    }
}
