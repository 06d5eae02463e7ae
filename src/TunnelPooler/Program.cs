using System.CommandLine;
using Shared.Hosting.CommandLine;
using TunnelPooler;

var root = new RootCommand("tunnel-pooler: the application's side of a tunnel")
{
    RunCommand.Create(),
    CheckCommand.Create(),
    ForwardCommand.Create(),
};
return await ProgramRunner.RunAsync(root, args);
