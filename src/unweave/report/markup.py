"""HTML as nested function calls: everything that is not already HTML is escaped."""

from __future__ import annotations

import html
import re

VOID = frozenset({"meta", "link", "img", "input", "br", "col", "path", "line", "circle"})
"""Elements written without a closing tag (in SVG: closed in place)."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Html(str):
    """A string that is HTML already and goes into a page as it is."""

    __slots__ = ()


def escape(text: object) -> Html:
    """Text from outside, made safe for elements and attributes; characters that no page may hold become U+FFFD.

    >>> escape("<b> & 'c'")
    '&lt;b&gt; &amp; &#x27;c&#x27;'
    """
    if isinstance(text, Html):
        return text
    return Html(html.escape(_CONTROL.sub("\ufffd", str(text)), quote=True))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """One element. Children are escaped unless they are ``Html``; None is left out.

    An attribute None or False is left out and True is written bare; ``class_`` gives ``class``, ``aria_label`` gives
    ``aria-label``.

    >>> tag("p", "2 < 3", tag("br"), class_="note", hidden=True)
    '<p class="note" hidden>2 &lt; 3<br></p>'
    """
    written = []
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {key}")
        elif value is not None and value is not False:
            # A value that is Html is a finished element's text and has no place in an attribute: escape it again.
            written.append(f' {key}="{escape(str(value))}"')
    inner = join(*children)
    if name in VOID:
        return Html(f"<{name}{''.join(written)}{'/' if name in ('path', 'line', 'circle') else ''}>")
    return Html(f"<{name}{''.join(written)}>{inner}</{name}>")


def join(*parts: object) -> Html:
    """Parts one after the other, escaped where they are not ``Html``."""
    return Html("".join(escape(part) for part in parts if part is not None))
