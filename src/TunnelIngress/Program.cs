using System.CommandLine;
using Shared.Hosting.CommandLine;
using TunnelIngress;
using TunnelIngress.Administration;

var root = new RootCommand("tunnel-ingress: the public server of tunnels, and the administration of its state")
{
    RunCommand.Create(),
    TunnelCommands.Create(),
    ServiceCommands.Create(),
    TokenCommands.Create(),
    PoolCommands.Create(),
};
return await ProgramRunner.RunAsync(root, args);
