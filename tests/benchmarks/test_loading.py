"""benchmarks.loading: what it measures is what a run reads."""

from pathlib import Path

from benchmarks import loading, report
from training.data.pack import Pack


def test_a_pack_of_portraits_gives_pictures(tmp_path: Path) -> None:
    """All of them different, at the side that was asked for; a pace, and its table."""
    size = loading.packed(tmp_path / "x.pack", 32)
    pack = Pack(tmp_path / "x.pack")
    assert len(pack) == loading.PICTURES and pack.images().shape[1:] == (32, 32, 3)
    assert len({each.tobytes() for each in pack.images()}) == loading.PICTURES
    pace = loading.pace(pack, 32, workers=0, seconds=0.01)
    document = {"benchmark": "loading", "side": 32, "bytes_each": size // len(pack), "pictures": {"0": pace}}
    ((row,),) = (table.rows for table in report.tables(document))
    assert pace > 0 and row[0] == "0" and float(row[2]) > 0
