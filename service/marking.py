"""The machine-readable mark that a picture was made by AI: IPTC DigitalSourceType in an XMP packet.

It is the only metadata of an answer. Vocabulary: https://cv.iptc.org/newscodes/digitalsourcetype/
"""

from __future__ import annotations

from enum import StrEnum

_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class Source(StrEnum):
    """What the picture is, in IPTC's words."""

    DRAWN = _VOCABULARY + "trainedAlgorithmicMedia"
    """Every pixel comes out of a network."""
    PASTED = _VOCABULARY + "compositeWithTrainedAlgorithmicMedia"
    """A photo in which faces were replaced by drawn ones."""


def xmp(source: Source) -> bytes:
    """The XMP packet that says so; to be embedded whole in JPEG, PNG or WebP."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about=""'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/"'
        f' Iptc4xmpExt:DigitalSourceType="{source}" xmp:CreatorTool="Likeness">'
        '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">AI-generated</rdf:li></rdf:Alt></dc:description>'
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()
