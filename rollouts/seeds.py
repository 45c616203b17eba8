"""Seeds of requests and of single samples."""

from hashlib import blake2b


def request_seed(stream: str, problem_id: str) -> int:
    """A seed in [0, 2^62), the same for the same stream and problem on every machine."""
    return _seed(f"{stream}/{problem_id}")


def sample_seed(seed: int, index: int) -> int:
    """A seed in [0, 2^62) for sample `index` of a request with `seed`; neighbouring seeds and indices share no stream."""
    return _seed(f"{seed}/{index}")


def _seed(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 2
