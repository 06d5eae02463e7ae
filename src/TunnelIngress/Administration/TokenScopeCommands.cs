using System.CommandLine;
using TunnelIngress.State;

namespace TunnelIngress.Administration;

/// <summary><c>tunnel-ingress token grant|withdraw</c>: what a token of applications may reach.</summary>
internal static class TokenScopeCommands
{
    public static Command Grant() => Create(
        "grant",
        "Let a token access further services; its secret stays.",
        "The services that it may reach, too",
        static (store, id, services, cancellationToken) => store.GrantAccessAsync(id, services, AdminContext.Time.GetUtcNow(), cancellationToken));

    public static Command Withdraw() => Create(
        "withdraw",
        "Take services away from a token: its streams and requests there are cut within two seconds, its others go on.",
        "The services that it may reach no more",
        static (store, id, services, cancellationToken) => store.WithdrawAccessAsync(id, services, cancellationToken));

    /// <summary>The option that names services.</summary>
    public static Option<string[]> AccessOption(string description) => new("--access")
    {
        Description = description,
        HelpName = "SERVICE",
        AllowMultipleArgumentsPerToken = true,
        Arity = ArgumentArity.OneOrMore,
    };

    private static Command Create(
        string verb, string purpose, string description, Func<IStateStore, string, IReadOnlyCollection<string>, CancellationToken, Task> change)
    {
        var clientId = NameArguments.ClientId();
        var access = AccessOption(description);
        access.Required = true;
        var command = new Command(verb, $"{purpose}\n\nExample:\n  tunnel-ingress token {verb} 3f0c…e1.access --access users-db") { clientId, access };
        AdminContext.Attach(command, async (context, result, cancellationToken) =>
        {
            var id = result.GetRequiredValue(clientId);
            await change(context.Store, id, result.GetRequiredValue(access).Distinct(StringComparer.Ordinal).ToArray(), cancellationToken);
            var scope = (await context.Store.LoadAsync(cancellationToken)).Tokens.GetValueOrDefault(id)?.Scope ?? TokenScope.Nothing;
            await context.WriteAsync(new { ClientId = id, AccessServices = scope.Services, Scope = scope.ToString() }, $"Token {id}: {scope}.");
        });
        return command;
    }
}
