"""Text of others within HTML and SVG, and the colours of both."""

import re
from html import escape

from rankspace.redaction import visible

LIGHT = {
    "card": "#ffffff",
    "ink": "#1d2330",
    "quiet": "#5b6472",
    "line": "#d9d7d1",
    "bar": "#1a5f78",
    "better": "#256d42",
    "worse": "#a8392a",
    "open": "#7d5a0c",
}
DARK = {
    "card": "#1c2027",
    "ink": "#e6e8ec",
    "quiet": "#a3acba",
    "line": "#3a414d",
    "bar": "#7cc7e0",
    "better": "#6cc592",
    "worse": "#ef8b78",
    "open": "#dcb35f",
}
"""Colours by what they are for, as on the status page. Everything has a card below it, so that it
can be read on a page of either theme, whether or not the page says which one that is."""

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(of: object) -> str:
    """Return what others wrote as text of HTML, XML or an attribute: none of it is markup there."""
    return escape(_NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", visible(str(of))))
