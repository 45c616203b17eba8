"""What a policy may call while it answers. Here stands what a tool of one's own needs."""

from rollouts.tools.registry import ToolError, tool

__all__ = ["ToolError", "tool"]
