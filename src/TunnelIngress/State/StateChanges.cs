using System.Collections.Frozen;

namespace TunnelIngress.State;

/// <summary>One thing that an administrator has changed, in words for the log; never a secret.</summary>
/// <param name="Kind">Tunnel, service, token or pool.</param>
/// <param name="Name">Its name, of a token its client id.</param>
/// <param name="What">What has become of it.</param>
internal readonly record struct StateChange(string Kind, string Name, string What);

/// <summary>Tells two snapshots of the state apart.</summary>
internal static class StateChanges
{
    /// <summary>What the later one has, lacks and has otherwise than the earlier one; in no order within a kind.</summary>
    public static IReadOnlyList<StateChange> Between(StateSnapshot before, StateSnapshot after) =>
    [
        .. Compare("tunnel", before.Tunnels, after.Tunnels, static _ => "added", static (_, _) => []),
        .. Compare("service", before.Services, after.Services, static service => $"added: {service.Hostname}, tunnel {service.Tunnel}, {Use(service)}", OfService),
        .. Compare("token", before.Tokens, after.Tokens, static token => $"added as {token.Name}: {token.Scope}, {Expiry(token)}", OfToken),
        .. Compare("pool", before.Pools, after.Pools, static _ => "set", static (old, now) => old.UpdatedAt == now.UpdatedAt ? [] : ["set again"]),
    ];

    private static IEnumerable<StateChange> Compare<T>(
        string kind, FrozenDictionary<string, T> before, FrozenDictionary<string, T> after, Func<T, string> added, Func<T, T, IEnumerable<string>> changed)
    {
        foreach (var (name, now) in after)
        {
            foreach (var what in before.TryGetValue(name, out var old) ? changed(old, now) : [added(now)])
            {
                yield return new(kind, name, what);
            }
        }

        foreach (var name in before.Keys.Where(name => !after.ContainsKey(name)))
        {
            yield return new(kind, name, "removed");
        }
    }

    private static IEnumerable<string> OfService(Service old, Service now)
    {
        if (old.Hostname != now.Hostname)
        {
            yield return $"hostname {now.Hostname} instead of {old.Hostname}";
        }

        if (old.Tunnel != now.Tunnel)
        {
            yield return $"tunnel {now.Tunnel} instead of {old.Tunnel}";
        }

        if (Use(old) != Use(now))
        {
            yield return $"{Use(now)} instead of {Use(old)}";
        }
        else if (old.Web != now.Web)
        {
            yield return "other settings of HTTP";
        }
    }

    private static IEnumerable<string> OfToken(Token old, Token now)
    {
        if (old.RevokedAt is null && now.RevokedAt is not null)
        {
            yield return "revoked";
        }

        if (now.Scope.Services.Except(old.Scope.Services) is { IsEmpty: false } granted)
        {
            yield return $"access granted: {string.Join(", ", granted)}";
        }

        if (old.Scope.Services.Except(now.Scope.Services) is { IsEmpty: false } withdrawn)
        {
            yield return $"access withdrawn: {string.Join(", ", withdrawn)}";
        }

        if (old.Secrets.FirstOrDefault()?.Version != now.Secrets.FirstOrDefault()?.Version)
        {
            yield return "rotated";
        }
    }

    private static string Use(Service service) => service.Web is null ? service.Protocol : $"{service.Protocol} for {service.Access}";

    private static string Expiry(Token token) => token.ExpiresAt is { } expiry ? $"expires {expiry.UtcDateTime:yyyy-MM-dd HH:mm'Z'}" : "does not expire";
}
