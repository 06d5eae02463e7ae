using System.Collections.Immutable;
using System.CommandLine;
using TunnelIngress.State;

namespace TunnelIngress.Administration;

/// <summary><c>tunnel-ingress token list</c>.</summary>
internal static class TokenListCommand
{
    public static Command Create()
    {
        var command = new Command("list", """
            List tokens and their last use; never their secrets.

            A running ingress writes down once a minute when and from which address each token was used last. While a rotation overlaps, OLD SECRET USED is
            the same for the secrets that the newest one replaces: when whoever uses the token has the new one, it stands still.

            Example:
              tunnel-ingress token list
            """);
        AdminContext.Attach(command, async (context, _, cancellationToken) =>
        {
            var now = AdminContext.Time.GetUtcNow();
            var state = await context.Store.LoadAsync(cancellationToken);
            var uses = (await context.Store.LoadUsesAsync(cancellationToken)).ToLookup(static use => use.ClientId, StringComparer.Ordinal);
            var rows = state.Tokens.Values.OrderBy(static token => token.CreatedAt).Select(token => Row.Of(token, uses[token.ClientId], now)).ToArray();
            await context.WriteTableAsync(
                rows,
                ("CLIENT ID", static row => row.ClientId),
                ("NAME", static row => row.Name),
                ("SCOPE", static row => row.Scope),
                ("STATUS", static row => row.Status),
                ("CREATED", static row => Times.Of(row.CreatedAt)),
                ("EXPIRES", static row => Times.Of(row.ExpiresAt)),
                ("LAST USED", static row => Times.Of(row.LastUsedAt)),
                ("FROM", static row => row.LastUsedFrom ?? "-"),
                ("OLD SECRET UNTIL", static row => Times.Of(row.OldSecretsValidUntil)),
                ("OLD SECRET USED", static row => Times.Of(row.OldSecretsLastUsedAt)));
        });
        return command;
    }

    /// <summary>A token as people and programs read it.</summary>
    private sealed record Row(
        string ClientId,
        string Name,
        string? ConnectTunnel,
        ImmutableSortedSet<string> AccessServices,
        string Scope,
        string Status,
        DateTimeOffset CreatedAt,
        DateTimeOffset? ExpiresAt,
        DateTimeOffset? RevokedAt,
        DateTimeOffset? LastUsedAt,
        string? LastUsedFrom,
        int SecretVersion,
        DateTimeOffset? OldSecretsValidUntil,
        DateTimeOffset? OldSecretsLastUsedAt,
        string? OldSecretsLastUsedFrom)
    {
        public static Row Of(Token token, IEnumerable<TokenUse> uses, DateTimeOffset now)
        {
            var latest = uses.OrderByDescending(static use => use.At).ToArray();
            var last = latest.FirstOrDefault();
            var old = token.Secrets.Where(secret => secret.ValidUntil > now).ToDictionary(static secret => secret.Version);
            var lastOfOld = latest.FirstOrDefault(use => old.ContainsKey(use.Version));
            return new Row(
                token.ClientId,
                token.Name,
                token.Scope.ConnectTunnel,
                token.Scope.Services,
                token.Scope.ToString(),
                token.RevokedAt is not null ? "revoked" : token.IsUsableAt(now) ? "active" : "expired",
                token.CreatedAt,
                token.ExpiresAt,
                token.RevokedAt,
                last?.At,
                last?.From,
                token.Secrets[0].Version,
                old.Values.Max(static secret => secret.ValidUntil),
                lastOfOld?.At,
                lastOfOld?.From);
        }
    }
}
