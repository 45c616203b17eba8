"""Grounding: boxes as JSON in Qwen3-VL's 0-1000 coordinates against the gold boxes."""
