"""Questions asked of the engine, each answered by tables that later stages and pages read."""
