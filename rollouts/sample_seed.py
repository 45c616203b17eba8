"""Seeds of single samples."""

from hashlib import blake2b


def sample_seed(seed: int, index: int) -> int:
    """A seed in [0, 2^62) for sample `index` of a request with `seed`; neighbouring seeds and indices share no stream."""
    digest = blake2b(f"{seed}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 2
