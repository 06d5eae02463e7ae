namespace Shared.Pooling.Tests.Hostile;

/// <summary>Tests that look at the whole process run when no other does.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
