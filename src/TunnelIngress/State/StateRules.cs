namespace TunnelIngress.State;

/// <summary>The rules every provider applies before it writes; each refusal quotes what it refuses and says what is allowed.</summary>
internal static class StateRules
{
    public static readonly TimeSpan MaxOverlap = TimeSpan.FromDays(30);

    public static void CheckName(string kind, string name)
    {
        if (!ResourceName.IsValid(name))
        {
            throw new StateException(StateError.Invalid, $"'{name}' cannot name a {kind}: a name is {ResourceName.Rule}.");
        }
    }

    public static void Check(Service service)
    {
        CheckName("service", service.Name);
        if (!Hostname.IsValid(service.Hostname))
        {
            throw new StateException(StateError.Invalid, $"'{service.Hostname}' cannot be a service's hostname: it is {Hostname.Rule}.");
        }
    }

    public static void Check(Token token)
    {
        CheckName("token", token.Name);
        if (token.Scope is TokenScope.Access { Services.IsEmpty: true })
        {
            throw new StateException(StateError.Invalid, $"Token '{token.Name}' would be good for nothing: name at least one service.");
        }

        if (token.ExpiresAt <= token.CreatedAt)
        {
            throw new StateException(StateError.Invalid, $"Token '{token.Name}' would be expired from the start: give a later expiry.");
        }
    }

    public static void CheckRotation(Token token, DateTimeOffset now, TimeSpan overlap)
    {
        if (overlap < TimeSpan.Zero || overlap > MaxOverlap)
        {
            throw new StateException(StateError.Invalid, $"The overlap must be between 0s and {MaxOverlap.Days}d.");
        }

        if (!token.IsUsableAt(now))
        {
            throw new StateException(
                StateError.NotUsable,
                $"Token {token.ClientId} is {(token.RevokedAt is null ? "expired" : "revoked")} and cannot be rotated: create a new one.");
        }

        if (overlap > TimeSpan.Zero && token.Secrets.Count(secret => secret.IsValidAt(now)) >= TokenSecret.MaxValidVersions)
        {
            throw new StateException(
                StateError.NotUsable,
                $"Token {token.ClientId} already has {TokenSecret.MaxValidVersions} valid secrets: wait for an overlap to end, "
                + "or end all older secrets at once with an overlap of 0s.");
        }
    }

    public static StateException NotFound(string kind, string name) =>
        new(StateError.NotFound, $"There is no {kind} '{name}'. The command '{kind} list' shows what there is.");

    public static StateException AlreadyExists(string kind, string name) =>
        new(StateError.AlreadyExists, $"There already is a {kind} '{name}'.");
}
