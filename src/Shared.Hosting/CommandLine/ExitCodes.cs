namespace Shared.Hosting.CommandLine;

/// <summary>What a program's exit tells a script.</summary>
public static class ExitCodes
{
    /// <summary>Done.</summary>
    public const int Success = 0;

    /// <summary>It was tried and failed.</summary>
    public const int Failure = 1;

    /// <summary>The command line or the configuration is wrong; nothing was tried.</summary>
    public const int Usage = 2;
}
