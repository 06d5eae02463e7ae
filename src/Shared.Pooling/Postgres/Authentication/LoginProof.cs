namespace Shared.Pooling.Postgres.Authentication;

/// <summary>
/// What a client's login has shown of its password: enough to log in as it at an origin that keeps the same secret.
/// Immutable; compared by value.
/// </summary>
internal sealed class LoginProof : IEquatable<LoginProof>
{
    private readonly byte[]? _clientKey;
    private readonly byte[]? _serverKey;

    private LoginProof(byte[]? clientKey, byte[]? serverKey, string? md5, string? password)
    {
        (_clientKey, _serverKey, Md5, Password) = (clientKey, serverKey, md5, password);
    }

    /// <summary>Nothing was shown.</summary>
    public static LoginProof None { get; } = new(null, null, null, null);

    /// <summary>The keys of SCRAM; null when it was not that.</summary>
    public ScramKeys? Keys => _clientKey is not null && _serverKey is not null ? new ScramKeys(_clientKey, _serverKey) : null;

    /// <summary>What md5 needs; null when it was not that.</summary>
    public string? Md5 { get; }

    /// <summary>The password itself; null when it is not known.</summary>
    public string? Password { get; }

    public static LoginProof OfPassword(string password) => new(null, null, null, password);

    public static LoginProof OfScram(byte[] clientKey, byte[] serverKey) => new(clientKey, serverKey, null, null);

    public static LoginProof OfMd5(string stored) => new(null, null, stored, null);

    /// <inheritdoc/>
    public bool Equals(LoginProof? other) =>
        other is not null && Md5 == other.Md5 && Password == other.Password && _clientKey.AsSpan().SequenceEqual(other._clientKey) && _serverKey.AsSpan().SequenceEqual(other._serverKey);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as LoginProof);

    /// <inheritdoc/>
    public override int GetHashCode() => (Md5 ?? Password)?.GetHashCode(StringComparison.Ordinal) ?? (_clientKey is { } key ? BitConverter.ToInt32(key) : 0);
}
