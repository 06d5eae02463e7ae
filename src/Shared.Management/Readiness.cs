namespace Shared.Management;

/// <summary>What <c>/readyz</c> answers.</summary>
/// <param name="IsReady">Whether the program does now what it is there for: 200 if so, else 503.</param>
/// <param name="Text">How it is, in a few lines, the first one for everybody; nothing secret.</param>
public readonly record struct Readiness(bool IsReady, string Text);
