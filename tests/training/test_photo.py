"""The bundled maker of photos, on drawings by the procedural caricaturist."""

from pathlib import Path

import numpy as np
import pytest

from training.data.caricaturist import FaceSpace
from training.data.painter import STYLES, paint
from training.data.pairs import UNSEEN, exaggerated
from training.data.pictures import read
from training.data.portraits import Landmarker, aligned
from training.evaluation.exported import Exported

MODELS = Path(__file__).parents[2] / "models"
ASSETS = Path(__file__).parents[1] / "assets"


@pytest.mark.parametrize("look", ["gouache", "wash", UNSEEN])
def test_a_photo_is_made_of_a_drawing(look: str, space: FaceSpace) -> None:
    """In it the face's features stand nearer to where the photo has them, be the look known or not."""
    landmarker, restorer = Landmarker(), Exported(MODELS / "photo")
    for path in sorted(ASSETS.glob("*.jpg")):
        original = read(path)
        photo, landmarks = aligned(original, landmarker(original))
        drawing = paint(*exaggerated(photo, landmarks, space, 1.0), STYLES[look])
        (made,) = restorer.draw([drawing], {})
        away, drawn_away = (np.linalg.norm(landmarker(each) - landmarks, axis=1).mean() for each in (made, drawing))
        assert away < drawn_away, path.name
