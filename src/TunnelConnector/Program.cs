using System.CommandLine;
using Shared.Hosting.CommandLine;
using TunnelConnector;

var root = new RootCommand("tunnel-connector: connects private services to tunnel ingresses by dialling out")
{
    RunCommand.Create(),
    CheckCommand.Create(),
};
return await ProgramRunner.RunAsync(root, args);
