"""The learner: packed batches, log-probs of the chosen tokens, optimizer steps, weights."""
