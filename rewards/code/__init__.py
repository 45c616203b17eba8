"""Programs that a model wrote, run against tests that they never see."""
