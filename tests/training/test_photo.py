"""The bundled maker of photos, on drawings by the procedural caricaturist."""

from pathlib import Path

import numpy as np
import pytest

from training.data.caricaturist import FaceSpace
from training.data.looks import STYLES
from training.data.painter import paint
from training.data.pairs import UNSEEN, exaggerated
from training.data.portraits import Landmarker
from training.exported import Exported

MODELS = Path(__file__).parents[2] / "models"


@pytest.mark.parametrize("look", ["gouache", "wash", UNSEEN])
def test_a_photo_is_made_of_a_drawing(look: str, space: FaceSpace, portraits) -> None:
    """In it the face's features stand nearer to where the photo has them, be the look known or not."""
    landmarker, restorer = Landmarker(), Exported(MODELS / "photo")
    for photo, landmarks in portraits:
        drawing = paint(*exaggerated(photo, landmarks, space, 1.0), STYLES[look].style())
        (made,) = restorer.draw([drawing], {})
        away, drawn_away = (np.linalg.norm(landmarker(each) - landmarks, axis=1).mean() for each in (made, drawing))
        assert away < drawn_away
