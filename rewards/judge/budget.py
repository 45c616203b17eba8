"""What a judge may still cost: calls (every request that is sent, retries too) and tokens."""

import threading

BYTES_A_TOKEN = 4


class Budget:
    """Safe from several threads. 0 is no bound.

    Calls never pass their bound. Tokens are known only with the answer, so the requests in flight may pass theirs; then no more are sent.
    """

    def __init__(self, max_calls: int, max_tokens: int) -> None:
        self._max_calls, self._max_tokens = max_calls, max_tokens
        self._lock = threading.Lock()
        self.calls = 0
        self.tokens = 0

    def take_call(self) -> bool:
        """Counts one call; False, and nothing counted, when the budget is spent."""
        with self._lock:
            if (self._max_calls and self.calls >= self._max_calls) or (self._max_tokens and self.tokens >= self._max_tokens):
                return False
            self.calls += 1
            return True

    def add_tokens(self, reported: int, sent: str, received: str) -> None:
        """Counts the tokens of an answer; estimated from the bytes of the texts when the server reports none."""
        with self._lock:
            self.tokens += reported or (len(sent.encode()) + len(received.encode())) // BYTES_A_TOKEN + 1

    def __str__(self) -> str:
        bounds = [
            f"{self.calls} of {self._max_calls or 'any number of'} calls",
            f"{self.tokens} of {self._max_tokens or 'any number of'} tokens",
        ]
        return ", ".join(bounds)
