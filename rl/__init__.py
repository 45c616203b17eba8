"""The loop that joins problems, rollouts and rewards, and the learner that it drives."""
