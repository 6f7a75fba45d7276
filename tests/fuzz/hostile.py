"""Handmade files that attack a decoder: lies about sizes, bombs, loops, polyglots. Each format has its function."""

import struct
import zlib
from collections.abc import Iterable

from tests.fuzz.valid import SIZE, pictures, profile

Files = dict[str, bytes]

EXTREMES = (0, 1, 0x7FFF, 0x8000, 0xFFFF)
EMPTY_SCANS = 5000
PIECES = 150_000


def hostile() -> Files:
    """All of them, by name; the same bytes at every call."""
    valid = pictures()
    return {**signatures(), **jpegs(valid), **pngs(valid), **gifs(valid), **webps(valid), **bmps(valid), **tiffs()}


def signatures() -> Files:
    """First bytes of formats and little else, and formats that the service does not read."""
    magics = {
        "jpeg": b"\xff\xd8\xff",
        "png": b"\x89PNG\r\n\x1a\n",
        "webp": b"RIFF\0\0\0\0WEBP",
        "gif": b"GIF89a",
        "bmp": b"BM",
        "tiff": b"II*\0",
        "tiff-big": b"MM\0*",
    }
    others = {
        "text": b"hello",
        "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        "pdf": b"%PDF-1.7\n1 0 obj<<>>endobj",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "avif": b"\0\0\0\x20ftypavif" + bytes(24),
        "bigtiff": b"II+\0\x08\0\0\0" + bytes(16),
        "sound": b"RIFF\x24\0\0\0WAVEfmt ",
        "fits": b"SIMPLE  =                    T" + b" " * 50,
        "gzip": zlib.compress(bytes(100)),
    }
    return {
        **{f"{name}-magic": magic for name, magic in magics.items()},
        **{f"{name}-zeros": magic + bytes(200) for name, magic in magics.items()},
        **{f"{name}-ones": magic + b"\xff" * 200 for name, magic in magics.items()},
        **others,
    }


def jpegs(valid: Files) -> Files:
    """Sizes that lie, endless scans and segments, loops in EXIF, profiles of many kinds of wrong."""
    plain, progressive = valid["jpeg"], valid["jpeg-progressive"]
    files = {f"jpeg-{width}x{height}": _jpeg_of_size(plain, width, height) for width in EXTREMES for height in EXTREMES}
    files["jpeg-larger-than-its-data"] = _jpeg_of_size(plain, 2000, 1000)
    files["jpeg-progressive-larger"] = _jpeg_of_size(progressive, 2000, 1000)
    last = progressive[progressive.rindex(b"\xff\xda") : -2]
    files["jpeg-scans"] = progressive[:-2] + last * EMPTY_SCANS + progressive[-2:]
    files["jpeg-empty-scans"] = progressive[:-2] + last[:10] * EMPTY_SCANS + progressive[-2:]
    files["jpeg-comments"] = plain[:2] + b"\xff\xfe\0\x02" * PIECES + plain[2:]
    files["jpeg-comments-between-scans"] = plain[:-2] + b"\xff\xfe\0\x02" * PIECES + plain[-2:]
    files["jpeg-fill"] = plain[:2] + b"\xff" * PIECES + plain[2:]
    files["jpeg-segment-of-no-length"] = plain[:2] + b"\xff\xe1\0\0" + plain[2:]
    files["jpeg-in-jpeg"] = plain[:2] + _segment(0xE1, plain) + plain[2:]
    files["jpeg-zip"] = plain + b"PK\x03\x04" + bytes(40) + b"PK\x05\x06" + bytes(18)
    files["jpeg-php"] = plain[:2] + _segment(0xFE, b"<?php phpinfo(); ?>") + plain[2:]
    files["jpeg-mpf"] = plain[:2] + _segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 60) + plain[2:]
    files |= {
        f"jpeg-exif-{name}": plain[:2] + _segment(0xE1, b"Exif\0\0" + body) + plain[2:]
        for name, body in _exifs().items()
    }
    for name, body in _profiles().items():
        parts = [body[start : start + 60_000] for start in range(0, len(body), 60_000)]
        segments = (
            _segment(0xE2, b"ICC_PROFILE\0" + bytes([index, len(parts)]) + part) for index, part in enumerate(parts, 1)
        )
        files[f"jpeg-icc-{name}"] = plain[:2] + b"".join(segments) + plain[2:]
    return files


def pngs(valid: Files) -> Files:
    """Sizes that lie, streams that inflate a thousandfold, animations that contradict themselves."""
    plain, animated = valid["png"], valid["png-animated"]
    header, rest, end = plain[:33], plain[33:-12], plain[-12:]
    bomb = zlib.compress(bytes(20_000_000), 9)
    files = {}
    for width, height in (
        (0, 48),
        (64, 0),
        (65, 48),
        (64, 49),
        (63, 47),
        (20_000, 1),
        (2**31 - 1, 1),
        (2**32 - 1,) * 2,
    ):
        files[f"png-{width}x{height}"] = _png_header(width, height) + rest + end
    for depth in (0, 1, 3, 16, 32):
        for colour in (0, 1, 2, 3, 4, 6):
            files[f"png-depth{depth}-colour{colour}"] = _png_header(*SIZE, depth, colour) + rest + end
    files["png-interlaced"] = _png_header(*SIZE, interlace=1) + rest + end
    files["png-bomb"] = header + _chunk(b"IDAT", bomb) + end
    files["png-bomb-of-its-size"] = _png_header(6000, 1100) + _chunk(b"IDAT", bomb) + end
    files["png-text-bomb"] = header + _chunk(b"zTXt", b"a\0\0" + bomb) + rest + end
    files["png-text-bombs"] = header + _chunk(b"iTXt", b"a\0\1\0\0\0" + bomb) * 9 + rest + end
    files["png-profile-bomb"] = header + _chunk(b"iCCP", b"a\0\0" + bomb) + rest + end
    files["png-chunks"] = header + _chunk(b"abCd") * PIECES + rest + end
    files["png-data-in-pieces"] = header + _chunk(b"IDAT") * PIECES + rest + end
    files["png-chunks-behind"] = header + rest + _chunk(b"tEXt", b"a\0b") * PIECES + end
    files["png-chunk-longer-than-file"] = header + b"\xff\xff\xff\xffIDAT" + rest
    files["png-palette-missing"] = _png_header(*SIZE, 8, 3) + rest + end
    files["png-palette-odd"] = _png_header(*SIZE, 8, 3) + _chunk(b"PLTE", bytes(7)) + rest + end
    files["png-transparency-long"] = header + _chunk(b"tRNS", bytes(2000)) + rest + end
    files["png-wrong-checksum"] = header[:-4] + b"\0\0\0\0" + rest + end
    files["png-html"] = header + _chunk(b"tEXt", b"Comment\0<script>alert(1)</script>") + rest + end + b"<html>"
    frame = struct.pack(">IIIIIHHBB", 0, 60_000, 60_000, 4_000_000, 4_000_000, 1, 1, 9, 9)
    files["png-frame-outside"] = header + _chunk(b"acTL", bytes(8)) + _chunk(b"fcTL", frame) + rest + end
    files["png-frames-countless"] = animated[:33] + _chunk(b"acTL", b"\xff" * 8) + animated[33 + 20 :]
    files |= {f"png-exif-{name}": header + _chunk(b"eXIf", body) + rest + end for name, body in _exifs().items()}
    for name, body in _profiles().items():
        files[f"png-icc-{name}"] = header + _chunk(b"iCCP", b"a\0\0" + zlib.compress(body)) + rest + end
    return files


def gifs(valid: Files) -> Files:
    """Frames outside of the screen, extensions without end, code sizes that LZW does not have."""
    plain = valid["gif"]
    palette = 13 + 3 * 2 ** (plain[10] % 8 + 1)
    start = plain.index(b"\x2c", palette)
    code = start + 10 + (3 * 2 ** (plain[start + 9] % 8 + 1) if plain[start + 9] & 0x80 else 0)
    files = {f"gif-code-size-{size}": plain[:code] + bytes([size]) + plain[code + 1 :] for size in (0, 1, 12, 13, 255)}
    for x, y, width, height in ((0, 0, 65535, 65535), (65535, 65535, 1, 1), (60, 40, 64, 48), (0, 0, 0, 0)):
        frame = struct.pack("<HHHH", x, y, width, height)
        files[f"gif-frame-{x}-{y}-{width}x{height}"] = plain[: start + 1] + frame + plain[start + 9 :]
    for width, height in ((0, 0), (1, 1), (65535, 65535)):
        files[f"gif-screen-{width}x{height}"] = plain[:6] + struct.pack("<HH", width, height) + plain[10:]
    extensions = {"comments": b"\x21\xfe\x01a\0", "controls": b"\x21\xf9\4\0\0\0\0\0", "junk": b"\x01"}
    for name, extension in extensions.items():
        files[f"gif-{name}"] = plain[:palette] + extension * PIECES + plain[palette:]
    files["gif-comment-of-pieces"] = plain[:palette] + b"\x21\xfe" + b"\x01a" * PIECES + b"\0" + plain[palette:]
    files["gif-without-frame"] = plain[:palette] + b"\x3b"
    files["gif-script"] = b"GIF89a/*" + plain[8:] + b"*/=1;alert(1)"
    return files


def webps(valid: Files) -> Files:
    """Canvases and lengths that lie, animations without frames."""
    body, animated = valid["webp"][12:], valid["webp-animated"]
    files = {}
    for width, height in ((1, 1), (2**14, 2**14), (2**24, 2**24), (16_384, 2)):
        canvas = b"\0\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        files[f"webp-canvas-{width}x{height}"] = _riff(_riff_chunk(b"VP8X", canvas) + body)
    files["webp-canvas-animated-large"] = animated[:24] + b"\xff\x07\0\xff\x07\0" + animated[30:]
    files["webp-animation-without-frames"] = _riff(_riff_chunk(b"VP8X", b"\x02\0\0\0\x3f\0\0\x2f\0\0"))
    files["webp-length-short"] = b"RIFF\x04\0\0\0WEBP" + body
    files["webp-length-long"] = b"RIFF\xff\xff\xff\xffWEBP" + body
    files["webp-chunks"] = _riff(
        _riff_chunk(b"VP8X", b"\0\0\0\0\x3f\0\0\x2f\0\0") + _riff_chunk(b"JUNK") * PIECES + body
    )
    files["webp-frame-larger"] = animated.replace(b"\x3f\0\0\x2f\0\0", b"\xff\xff\0\xff\xff\0")
    files["webp-sound"] = b"RIFF\0\0\0\0WAVE" + body
    return files


def bmps(valid: Files) -> Files:
    """Sizes below zero, offsets outside of the file, run lengths that run on."""
    plain = valid["bmp"]
    files = {}
    for width, height in ((0, 0), (-64, 48), (64, -48), (2**31 - 1, 2**31 - 1), (-(2**31), -(2**31)), (640, 480)):
        files[f"bmp-{width}x{height}"] = plain[:18] + struct.pack("<ii", width, height) + plain[26:]
    for offset in (0, 14, 2**31, 2**32 - 1):
        files[f"bmp-offset-{offset}"] = plain[:10] + struct.pack("<I", offset) + plain[14:]
    for bits in (0, 1, 2, 4, 8, 16, 32, 64):
        for compression in (0, 1, 2, 3, 4):
            kind = struct.pack("<HI", bits, compression)
            files[f"bmp-bits{bits}-compression{compression}"] = plain[:28] + kind + plain[34:]
    runs = plain[:28] + struct.pack("<HI", 8, 1) + plain[34:46] + struct.pack("<II", 256, 0) + bytes(1024)
    files["bmp-runs"] = runs + b"\xff\x01" * 10_000
    files["bmp-run-jumps"] = runs + b"\0\x02\xff\xff" * 10_000
    files["bmp-palette-long"] = plain[:46] + struct.pack("<I", 2**32 - 1) + plain[50:]
    files["bmp-header-odd"] = plain[:14] + struct.pack("<I", 2**31) + plain[18:]
    return files


def tiffs() -> Files:
    """Directories in circles, tiles of gigabytes, strips outside of the file, compressions that are others'."""
    data = zlib.compress(bytes(SIZE[0] * SIZE[1]))
    files = {
        "tiff-loop": _tiff({}, data, following=8),
        "tiff-countless-tags": b"II*\0\x08\0\0\0\xff\xff" + bytes(1000),
        "tiff-directory-outside": b"II*\0\xff\xff\xff\xff",
        "tiff-no-size": _tiff({256: 0, 257: 0}, data),
        "tiff-large-size": _tiff({256: 2**31, 257: 2**31}, data),
        "tiff-strip-outside": _tiff({273: 2**31}, data),
        "tiff-strip-long": _tiff({279: 2**32 - 1}, data),
        "tiff-rows-per-strip": _tiff({278: 2**32 - 1}, data),
        "tiff-no-rows-per-strip": _tiff({278: 0}, data),
        "tiff-lying-size": _tiff({256: 1000, 257: 1000}, data),
        "tiff-bomb": _tiff({}, zlib.compress(bytes(20_000_000))),
    }
    for compression in (0, 2, 3, 4, 5, 6, 7, 8, 32773, 34661, 34712, 34925, 34934, 50000, 50001, 50002, 65535):
        files[f"tiff-compression-{compression}"] = _tiff({259: compression}, data)
    for bits in (0, 1, 4, 12, 16, 32, 64, 65535):
        files[f"tiff-bits-{bits}"] = _tiff({258: bits}, data)
    for samples in (0, 2, 5, 255, 65535):
        files[f"tiff-samples-{samples}"] = _tiff({277: samples}, data)
    for side in (0, 1, 16, 4096, 20_000, 2**31, 2**32 - 1):
        files[f"tiff-tile-{side}"] = _tiff({322: side, 323: side, 324: 0, 325: len(data)}, data)
    for orientation in (0, 9, 65535):
        files[f"tiff-orientation-{orientation}"] = _tiff({274: orientation}, data)
    return files


def _exifs() -> Files:
    """EXIF that points at itself, out of itself, or holds what no camera writes."""

    def directory(entries: Iterable[bytes], following: int = 0) -> bytes:
        listed = list(entries)
        return b"MM\0*\0\0\0\x08" + struct.pack(">H", len(listed)) + b"".join(listed) + struct.pack(">I", following)

    def entry(tag: int, kind: int, count: int, value: int) -> bytes:
        return struct.pack(">HHII", tag, kind, count, value)

    return {
        "empty": b"",
        "sideways": directory([entry(0x0112, 3, 1, 6 << 16)]),
        "loop": directory([entry(0x0112, 3, 1, 6 << 16)], following=8),
        "loop-below": directory([entry(0x8769, 4, 1, 8), entry(0x8825, 4, 1, 8), entry(0xA005, 4, 1, 8)]),
        "orientation-99": directory([entry(0x0112, 3, 1, 99 << 16)]),
        "orientation-text": directory([entry(0x0112, 2, 4, 0x61626300)]),
        "orientation-many": directory([entry(0x0112, 3, 2**32 - 1, 8)]),
        "orientation-outside": directory([entry(0x0112, 4, 1000, 2**31)]),
        "kind-unknown": directory([entry(0x0112, 255, 1, 6)]),
        "directory-outside": b"MM\0*\xff\xff\xff\xff",
        "tags-countless": b"II*\0\x08\0\0\0\xff\xff" + bytes(50_000),
        "resolution-by-zero": directory([entry(0x011A, 5, 1, 38), entry(0x0128, 3, 1, 2 << 16)]) + bytes(8),
    }


def _profiles() -> Files:
    """ICC profiles: junk, huge, tables that lie, another colour model's."""
    good = profile()
    tags = struct.unpack(">I", good[128:132])[0]
    entries = [
        good[:offset] + struct.pack(">I", value) + good[offset + 4 :]
        for offset in range(136, 136 + 12 * tags, 12)
        for value in (0, 2**31)
    ]
    return {
        "junk": b"junk" * 100,
        "huge": good[:128] + struct.pack(">I", 100) + bytes(1_000_000),
        "tags-countless": good[:128] + b"\xff" * 4 + good[132:],
        "cut": good[: len(good) // 2],
        "of-cmyk": good.replace(b"RGB ", b"CMYK"),
        "of-grey": good.replace(b"RGB ", b"GRAY"),
        "of-lab": good.replace(b"XYZ ", b"Lab "),
        "curves-long": good.replace(b"para\0\0\0\0\0\x03", b"curv\0\0\0\0\xff\xff\xff\xff"),
        "curves-wild": good.replace(b"para\0\0\0\0\0\x03", b"para\0\0\0\0\xff\xff"),
        **{f"entry-{index}": body for index, body in enumerate(entries)},
    }


def _jpeg_of_size(file: bytes, width: int, height: int) -> bytes:
    """Its start of frame says another size: length, precision, then height and width."""
    frame = max(file.find(b"\xff\xc0"), file.find(b"\xff\xc2"))
    return file[: frame + 5] + struct.pack(">HH", height, width) + file[frame + 9 :]


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png_header(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)


def _riff_chunk(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def _riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _tiff(tags: dict[int, int], data: bytes, following: int = 0) -> bytes:
    """A grey TIFF of one deflated strip, with `tags` over its own."""
    entries = {256: SIZE[0], 257: SIZE[1], 258: 8, 259: 8, 262: 1, 273: 0, 277: 1, 278: SIZE[1], 279: len(data), **tags}
    start = 8 + 2 + 12 * len(entries) + 4
    for offset in {273, 324} & {tag for tag in entries if not entries[tag]}:
        entries[offset] = start
    packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + struct.pack("<I", following) + data
