"""verl as the trainer at scale: our settings, problems and rewards through its documented extension points. See docs/scale.md."""
