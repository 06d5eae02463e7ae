using System.CommandLine;
using Shared.Hosting.CommandLine;
using Shared.Management;
using TunnelConnector;

var root = new RootCommand("tunnel-connector: connects private services to tunnel ingresses by dialling out")
{
    RunCommand.Create(),
    CheckCommand.Create(),
    HealthCommand.Create("tunnel-connector", "TUNNEL_CONNECTOR__"),
};
return await ProgramRunner.RunAsync(root, args);
