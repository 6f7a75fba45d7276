"""The tables of model cards. Of a face encoder, beside dlib's recogniser, on people set aside and drawings of some:

    python -m training.evaluation.cards people models/sphereface/3 FACES.pack
    python -m training.evaluation.cards people models/sphereface/3 FACES.pack --pairs 3000
    python -m training.evaluation.cards teacher FACES.pack
    LIKENESS_DATA=... python -m training.evaluation.cards drawings models/sphereface/3 models/caricature/7
    python -m training.evaluation.cards caricatures models/sphereface/3 models/caricature/7 FACES.pack

Of a caricature, beside the procedural caricaturist: every strength and look of 100 people set aside.

    python -m training.evaluation.cards caricature models/caricature/7 PACKED --sheet people.png
    python -m training.evaluation.cards beside models/caricature/7 PACKED PHOTO... --sheet beside.jpg

Of translators in several sizes, what each takes and reaches:

    python -m training.evaluation.cards tiers PACKED models/caricature/7 models/cartoon/2

Of a reader of styles: drawings of people set aside in every look, and what the caricature makes of what was read.

    python -m training.evaluation.cards styles models/style/1 models/caricature/7 PACKED

Of photos that are made of drawings: whether a person is known by them among 40 who were in no training.

    LIKENESS_DATA=... python -m training.evaluation.cards photo models/photo/1 models/caricature/7 PACKED

Of cartoons, how far they and the photos are from drawings of the Cartoon Set, of which none was in training:

    LIKENESS_DATA=... python -m training.evaluation.cards cartoon models/cartoon/2 models/sphereface/3 PACKED

Of a classifier of attributes, a run that no model comes of, on faces set aside, each attribute in each domain:

    python -m training.evaluation.cards attributes runs/attributes LABELLED.pack

The pack is that of training.data.recognition, PACKED the folder of training.data.portraits. `likeness eval` has the
figures of any other pictures.
"""

import typer

from training.evaluation.cards.attribute import attributes
from training.evaluation.cards.caricature import beside, caricature
from training.evaluation.cards.cartoon import cartoon
from training.evaluation.cards.encoder import caricatures, drawings, people, teacher
from training.evaluation.cards.photo import photo
from training.evaluation.cards.style import styles
from training.evaluation.cards.tiers import tiers

app = typer.Typer(help=__doc__, add_completion=False)
for command in (people, teacher, drawings, caricatures, caricature, beside, tiers, cartoon, photo, styles, attributes):
    app.command()(command)

if __name__ == "__main__":
    app()
