namespace TunnelIngress.State;

/// <summary>What kind of no the state store said.</summary>
internal enum StateError
{
    /// <summary>A name, hostname, scope or time breaks a rule; the message quotes it.</summary>
    Invalid,

    /// <summary>The tunnel, service or token named does not exist.</summary>
    NotFound,

    /// <summary>A name or hostname is taken.</summary>
    AlreadyExists,

    /// <summary>Something else still needs it; the message says what to remove first.</summary>
    InUse,

    /// <summary>The token is revoked, expired or has too many secrets, so it cannot be rotated.</summary>
    NotUsable,

    /// <summary>The store cannot be read or written; the message says why and where.</summary>
    Unavailable,

    /// <summary>A newer version of the program has already migrated the store.</summary>
    Newer,
}

/// <summary>The state store refused or failed. The message is written for the person at the terminal: what is wrong and what to do.</summary>
internal sealed class StateException(StateError error, string message, Exception? inner = null) : Exception(message, inner)
{
    public StateError Error { get; } = error;
}
