using System.CommandLine;
using Shared.Hosting.CommandLine;
using Shared.Management;
using TunnelIngress;
using TunnelIngress.Administration;
using TunnelIngress.Configuration;

var root = new RootCommand("tunnel-ingress: the public server of tunnels, and the administration of its state")
{
    RunCommand.Create(),
    HealthCommand.Create("tunnel-ingress", "TUNNEL_INGRESS__", IngressOptions.DefaultManagement),
    TunnelCommands.Create(),
    ServiceCommands.Create(),
    TokenCommands.Create(),
    PoolCommands.Create(),
};
return await ProgramRunner.RunAsync(root, args);
