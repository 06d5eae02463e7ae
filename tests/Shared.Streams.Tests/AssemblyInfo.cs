// These tests mostly wait, for a peer or for a bounded close, so more of them than processors run at once.
[assembly: Xunit.v3.Parallelization(MaxThreads = 8)]
