"""Figures of matplotlib and pictures of Pillow as bytes; neither is imported here (SPEC 4.8)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pyjob.errors import PyjobError, ResultError, message_of
from pyjob.method.returns import picture_of

PNG = "image/png"
FORMATS: Mapping[str, str] = MappingProxyType(
    {
        PNG: "PNG",
        "image/jpeg": "JPEG",
        "image/webp": "WEBP",
        "image/svg+xml": "SVG",
        "application/pdf": "PDF",
    }
)
# The modes of Pillow that a format has; what it has not is converted.
MODES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "PNG": frozenset(("1", "L", "LA", "I;16", "P", "RGB", "RGBA")),
        "JPEG": frozenset(("1", "L", "RGB", "CMYK", "YCbCr")),
        "WEBP": frozenset(("RGB", "RGBA")),
        "PDF": frozenset(("1", "L", "P", "RGB", "CMYK")),
    }
)
WHITE = (255, 255, 255)


def drawn(picture: Any, content_type: str) -> bytes:
    """``picture`` in the format that ``content_type`` names. Raises `ResultError`, whatever goes wrong."""
    kind = type(picture)
    what = f"result: {kind.__name__}"
    written = FORMATS.get(content_type.partition(";")[0].strip().lower())
    if written is None:
        raise ResultError(f"{what} cannot be drawn as {content_type}, only as {', '.join(FORMATS)}")
    file = io.BytesIO()
    try:
        if picture_of(kind) == "figure":
            picture.savefig(file, format=written.lower())
        else:
            _fitted(picture, written).save(file, format=written)
    except PyjobError:
        raise
    except Exception as error:
        # As an error of its own: the caller is not to blame for a ValueError here.
        raise ResultError(f"{what} cannot be drawn as {content_type}: {message_of(error)}") from error
    return file.getvalue()


def _fitted(image: Any, written: str) -> Any:
    """``image`` in a mode that the format has; where that is not transparent, there is white behind it."""
    modes = MODES.get(written)
    if modes is None or image.mode in modes:
        return image
    if image.mode in ("La", "RGBa"):  # from the first of these, Pillow knows one way only
        image = image.convert(image.mode.upper())
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return image if "RGBA" in modes else _on_white(image)
    if image.mode.startswith("I;16") and "I;16" not in modes:
        # Pillow would cut off what is brighter than the darkest 256 levels.
        return image.convert("I").point(lambda level: level * (1 / 256)).convert("L")
    if image.mode.startswith("I"):
        return image.convert("I;16" if "I;16" in modes else "L")
    return image.convert("L" if image.mode == "F" else "RGB")


def _on_white(image: Any) -> Any:
    behind = image.getchannel("A").point([255 - level for level in range(256)])
    opaque = image.convert("RGB")
    opaque.paste(WHITE, (0, 0, *image.size), behind)
    return opaque
