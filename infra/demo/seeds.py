"""Named streams of reproducible random numbers.

Every generator draws from its own named stream, so adding draws to one data set never
changes the bytes of another.
"""

import random


def stream(seed: int, name: str) -> random.Random:
    """Return the random stream called `name` under `seed`.

    Text seeds are hashed with SHA-512 by `random`, hence do not depend on the hash seed of the
    process: the same arguments give the same numbers everywhere.

    Args:
        seed: Seed of the whole data set.
        name: Name of the stream, such as "benchmark/pope".

    Returns:
        A generator no other stream shares.
    """
    return random.Random(f"{name}/{seed}")
