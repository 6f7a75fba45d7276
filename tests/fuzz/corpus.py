"""Bytes that clients may send for a picture: handmade attacks first, then valid files damaged at random."""

import random
from collections.abc import Iterator

from tests.fuzz.hostile import hostile
from tests.fuzz.valid import pictures

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
HEADER = 64  # bytes in which most of a format's decisions stand


def corpus(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`count` files, each with a name that says what it is; the same for the same seed.

    The handmade ones come in an order of the seed's, as far as they reach to three quarters of `count`; the rest are
    valid files with one to four damages.
    """
    rng = random.Random(seed)
    valid, handmade = list(pictures().items()), list(hostile().items())
    rng.shuffle(handmade)
    handmade = handmade[: count * 3 // 4]
    yield from handmade
    for index in range(count - len(handmade)):
        name, file = valid[index % len(valid)]
        for _ in range(rng.randint(1, 4)):
            file = rng.choice(DAMAGES)(file, rng)
        yield f"{name}-damaged-{index}", file


def cut(file: bytes, rng: random.Random) -> bytes:
    """The file ends early."""
    return file[: rng.randrange(len(file) + 1)]


def flip(file: bytes, rng: random.Random) -> bytes:
    """Some bytes anywhere are others."""
    damaged = bytearray(file)
    for _ in range(rng.randint(1, 16) if file else 0):
        damaged[rng.randrange(len(damaged))] ^= rng.randint(1, 255)
    return bytes(damaged)


def flip_header(file: bytes, rng: random.Random) -> bytes:
    """Some bits of the header are others."""
    damaged = bytearray(file)
    for _ in range(rng.randint(1, 4) if file else 0):
        damaged[rng.randrange(min(len(damaged), HEADER))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def exaggerate(file: bytes, rng: random.Random) -> bytes:
    """A number in the file is as small or as large as it gets."""
    width = rng.choice((1, 2, 4))
    number = (rng.choice(EXTREMES) & (256**width - 1)).to_bytes(width, rng.choice(("big", "little")))
    place = rng.randrange(len(file) + 1)
    return file[:place] + number + file[place + width :]


def blank(file: bytes, rng: random.Random) -> bytes:
    """A stretch is zeros or ones, as on a broken disk."""
    start, length = rng.randrange(len(file) + 1), rng.randint(1, 512)
    end = min(start + length, len(file))
    return file[:start] + rng.choice((b"\0", b"\xff")) * (end - start) + file[end:]


def drop(file: bytes, rng: random.Random) -> bytes:
    """A stretch is missing, as from a broken upload."""
    start = rng.randrange(len(file) + 1)
    return file[:start] + file[start + rng.randint(1, 256) :]


def repeat(file: bytes, rng: random.Random) -> bytes:
    """A stretch comes again and again."""
    start = rng.randrange(len(file) + 1)
    end = start + rng.randint(1, 64)
    return file[:end] + file[start:end] * rng.randint(1, 50) + file[end:]


def insert(file: bytes, rng: random.Random) -> bytes:
    """Noise stands somewhere."""
    place = rng.randrange(len(file) + 1)
    return file[:place] + rng.randbytes(rng.randint(1, 64)) + file[place:]


def splice(file: bytes, rng: random.Random) -> bytes:
    """It ends as another file does."""
    other = rng.choice(list(pictures().values()))
    return file[: rng.randrange(len(file) + 1)] + other[rng.randrange(len(other)) :]


DAMAGES = (cut, flip, flip_header, exaggerate, blank, drop, repeat, insert, splice)
