"""What an answer is worth: registry, verifiers, isolation."""
