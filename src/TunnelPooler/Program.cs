using System.CommandLine;
using Shared.Hosting.CommandLine;
using Shared.Management;
using TunnelPooler;

var root = new RootCommand("tunnel-pooler: the application's side of a tunnel")
{
    RunCommand.Create(),
    CheckCommand.Create(),
    ForwardCommand.Create(),
    HealthCommand.Create("tunnel-pooler", "TUNNEL_POOLER__"),
};
return await ProgramRunner.RunAsync(root, args);
