import base64
from pathlib import Path
from typing import Annotated, BinaryIO

from PIL import Image

MOST_PIXELS = 50_000_000


class JobEntrypoint:
    """Makes pixel art of a picture: large squares in a few colors."""

    def perform(
        self, picture: BinaryIO, squares: int = 16, colors: int = 8
    ) -> Annotated[Image.Image, "image/png"]:
        """
        Draw a picture again, in squares.
        :param picture: PNG, JPEG, or any other format that Pillow reads.
        :param squares: How many, along the longer side.
        :param colors: How many, 2 to 256.
        :return: A picture of the same size.
        """
        if squares < 1:
            raise ValueError("squares: expected 1 or more")
        if not 2 <= colors <= 256:
            raise ValueError("colors: expected 2 to 256")
        image = opened(picture)
        scale = min(1, squares / max(image.size))
        columns, rows = (max(1, round(side * scale)) for side in image.size)
        small = image.resize((columns, rows), Image.Resampling.BOX).quantize(int(colors))
        return small.resize(image.size, Image.Resampling.NEAREST)

    def docs_input_example(self) -> dict[str, object]:
        # In JSON, a file is base64.
        return {"picture": base64.b64encode(Path("cat.png").read_bytes()).decode(), "squares": 16}


def opened(picture: BinaryIO) -> Image.Image:
    """The picture, or a ValueError: what the caller sends is the caller's fault."""
    try:
        image = Image.open(picture)
        # A small file can hold a picture that fills the memory.
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"picture: expected at most {MOST_PIXELS} pixels")
        return image.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"picture: Pillow cannot read it: {error}") from error
