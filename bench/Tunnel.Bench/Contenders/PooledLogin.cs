namespace Tunnel.Bench.Contenders;

/// <summary>The login that direct connections, the poolers' clients and the poolers themselves use.</summary>
/// <param name="User">The role.</param>
/// <param name="Password">Its password.</param>
/// <param name="Verifier">What PostgreSQL keeps of the password; the poolers check their clients with the same.</param>
internal sealed record PooledLogin(string User, string Password, string Verifier)
{
    /// <summary>Gets the same login for clients that should not have to compute: a role of its own, whose verifier asks for one iteration.</summary>
    public PooledLogin? Cheap { get; init; }

    /// <summary>Gets the logins that a pooler is to know.</summary>
    public IEnumerable<PooledLogin> All => Cheap is null ? [this] : [this, Cheap];

    /// <summary>Gets what libpq's programs need to log in.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; } = new Dictionary<string, string>(Database.ClientEnvironment)
    {
        ["PGUSER"] = User,
        ["PGPASSWORD"] = Password,
    };
}
