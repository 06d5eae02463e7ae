using System.Collections.Immutable;
using System.CommandLine;
using Shared.Pooling.Postgres.Authentication;
using TunnelIngress.Access;
using TunnelIngress.State;

namespace TunnelIngress.Administration;

/// <summary><c>tunnel-ingress token create|list|grant|withdraw|rotate|revoke|remove</c>.</summary>
internal static class TokenCommands
{
    private static readonly TimeSpan MaxOverlap = TimeSpan.FromDays(30);

    public static Command Create() => new("token", """
        Create, list, change, rotate, revoke and remove service tokens.

        A token either connects one tunnel (for connectors) or accesses named services (for applications). Its secret is shown once.

        Examples:
          tunnel-ingress token create vpc-connector --connect vpc --output connector.token
          tunnel-ingress token create orders-app --access orders-db --expires 90d --output app.token
          tunnel-ingress token grant 3f0c…e1.access --access users-db
          tunnel-ingress token rotate 3f0c…e1.access --overlap 24h --output app.token
          tunnel-ingress token revoke 3f0c…e1.access
        """)
    {
        CreateToken(),
        TokenListCommand.Create(),
        TokenScopeCommands.Grant(),
        TokenScopeCommands.Withdraw(),
        Rotate(),
        Revoke(),
        Remove(),
    };

    private static Command CreateToken()
    {
        var name = NameArguments.New("token");
        var connect = new Option<string?>("--connect") { Description = "The tunnel that connectors may connect with it", HelpName = "TUNNEL" };
        var access = TokenScopeCommands.AccessOption("The services that applications may reach with it");
        var expires = DurationOption("--expires", "When it expires, from now: 90d, 12h, 30m (never)");
        var output = OutputOption("Write the token to a new file that only you can read, instead of showing it");
        var command = new Command(
            "create", "Create a token.\n\nExample:\n  tunnel-ingress token create orders-app --access orders-db --expires 90d --output app.token")
        {
            name, connect, access, expires, output,
        };
        expires.Validators.Add(static result =>
        {
            if (result.Tokens is [var token, ..] && Durations.TryParse(token.Value, out var span) && span == TimeSpan.Zero)
            {
                result.AddError("--expires must be later than now, or the token is good for nothing.");
            }
        });
        command.Validators.Add(result =>
        {
            if ((result.GetValue(connect) is null) == (result.GetValue(access) is not { Length: > 0 }))
            {
                result.AddError("Give either --connect TUNNEL or --access SERVICE…");
            }
        });
        AdminContext.Attach(command, async (context, result, cancellationToken) =>
        {
            var now = AdminContext.Time.GetUtcNow();
            var issued = ClientSecret.NewToken();
            var scope = new TokenScope(result.GetValue(connect), (result.GetValue(access) ?? []).ToImmutableSortedSet(StringComparer.Ordinal));
            DateTimeOffset? expiry = result.GetValue(expires) is { } text && Durations.TryParse(text, out var span) ? now + span : null;
            var token = new Token(
                issued.ClientId, result.GetRequiredValue(name), scope, now, expiry, null, [new TokenSecret(1, ClientSecret.Hash(issued.ClientSecret), null) { Scram = scope.ConnectTunnel is null ? ScramVerifier.Create(issued.ClientSecret) : null }]);
            await TokenOutput.WriteAsync(
                context, issued, scope, result.GetValue(output), replace: false, () => context.Store.AddTokenAsync(token, cancellationToken), cancellationToken);
        });
        return command;
    }

    private static Command Rotate()
    {
        var clientId = NameArguments.ClientId();
        var overlap = DurationOption("--overlap", "How long the old secret stays valid: 24h, 0s for not at all (24h)");
        overlap.Validators.Add(static result =>
        {
            if (result.Tokens is [var token, ..] && Durations.TryParse(token.Value, out var span) && span > MaxOverlap)
            {
                result.AddError($"--overlap is {MaxOverlap.Days}d at most, not {token.Value}: an old secret has to end.");
            }
        });
        var output = OutputOption("Write the token to this file, in the place of the old one, instead of showing it");
        var command = new Command("rotate", """
            Give a token a new secret. The old one stays valid for an overlap; running streams are not cut.

            To cut whoever uses the token now, revoke it.

            Example:
              tunnel-ingress token rotate 3f0c…e1.access --overlap 24h --output app.token
            """)
        {
            clientId, overlap, output,
        };
        AdminContext.Attach(command, async (context, result, cancellationToken) =>
        {
            var id = result.GetRequiredValue(clientId);
            var span = Durations.TryParse(result.GetValue(overlap) ?? "24h", out var parsed) ? parsed : TimeSpan.Zero;
            var state = await context.Store.LoadAsync(cancellationToken);
            var token = state.Tokens.GetValueOrDefault(id) ?? throw new StateException($"There is no token '{id}'. See 'tunnel-ingress token list'.");
            var secret = ClientSecret.NewSecret();

            await TokenOutput.WriteAsync(
                context,
                new(id, secret),
                token.Scope,
                result.GetValue(output),
                replace: true,
                () => context.Store.RotateTokenAsync(id, ClientSecret.Hash(secret), current => VerifierOf(secret, current), AdminContext.Time.GetUtcNow(), span, cancellationToken),
                cancellationToken);
        });
        return command;
    }

    // A client is told the salt before it shows which secret it has.
    private static ScramVerifier? VerifierOf(string secret, Token token) => token.Scope.ConnectTunnel is not null ? null
        : token.Secrets[0].Scram is { } beside ? ScramVerifier.Create(secret, beside)
        : ScramVerifier.Create(secret);

    private static Command Revoke()
    {
        var clientId = NameArguments.ClientId();
        var command = new Command(
            "revoke", "Revoke a token for good: its streams and connectors are cut within two seconds.\n\nExample:\n  tunnel-ingress token revoke 3f0c…e1.access") { clientId };
        AdminContext.Attach(command, async (context, result, cancellationToken) =>
        {
            var id = result.GetRequiredValue(clientId);
            await context.Store.RevokeTokenAsync(id, AdminContext.Time.GetUtcNow(), cancellationToken);
            await context.WriteAsync(new { Revoked = id }, $"Token {id} revoked.");
        });
        return command;
    }

    private static Command Remove()
    {
        var clientId = NameArguments.ClientId();
        var command = new Command(
            "remove", "Remove a token that is revoked or expired from the list.\n\nExample:\n  tunnel-ingress token remove 3f0c…e1.access") { clientId };
        AdminContext.Attach(command, async (context, result, cancellationToken) =>
        {
            var id = result.GetRequiredValue(clientId);
            await context.Store.RemoveTokenAsync(id, AdminContext.Time.GetUtcNow(), cancellationToken);
            await context.WriteAsync(new { Removed = id }, $"Token {id} removed.");
        });
        return command;
    }

    private static Option<string?> DurationOption(string name, string description)
    {
        var option = new Option<string?>(name) { Description = description, HelpName = "TIME" };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token, ..] && !Durations.TryParse(token.Value, out _))
            {
                result.AddError($"{name} takes a time such as 90d, 12h, 30m or 45s, not '{token.Value}'.");
            }
        });
        return option;
    }

    private static Option<string?> OutputOption(string description) => new("--output") { Description = description, HelpName = "FILE" };
}
