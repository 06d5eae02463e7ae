using Microsoft.Extensions.Hosting.Systemd;

namespace Shared.Hosting.Lifetime;

/// <summary>Tells systemd (Type=notify) how the program is; does nothing where no service manager listens. Safe for concurrent use.</summary>
public sealed class ServiceManager
{
    private readonly SystemdNotifier _notifier = new();

    /// <summary>The program serves.</summary>
    public void Ready() => _notifier.Notify(ServiceState.Ready);

    /// <summary>The program drains and will end.</summary>
    public void Stopping() => _notifier.Notify(ServiceState.Stopping);

    /// <summary>One line for <c>systemctl status</c>.</summary>
    public void Status(string line) => _notifier.Notify(new ServiceState($"STATUS={line}"));
}
