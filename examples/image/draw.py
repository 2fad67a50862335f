"""Make cat.png, the sample of the job, with Pillow.

Run it in this folder: `python draw.py`.
"""

from PIL import Image, ImageDraw

SIZE = 128
NIGHT, MOON, FUR, EAR, EYE, NOSE = "#24304f", "#f4e9b8", "#d98a3d", "#b5622a", "#9bd36a", "#3a2018"


def cat() -> Image.Image:
    picture = Image.new("RGB", (SIZE, SIZE), NIGHT)
    pen = ImageDraw.Draw(picture)
    pen.ellipse((92, 8, 116, 32), fill=MOON)
    for left in (True, False):
        ear = [(28, 56), (34, 14), (62, 40)]
        pen.polygon([(x if left else SIZE - x, y) for x, y in ear], fill=EAR)
    pen.ellipse((22, 32, 106, 116), fill=FUR)
    for x in (46, 82):
        pen.ellipse((x - 9, 56, x + 9, 76), fill=EYE)
        pen.ellipse((x - 3, 57, x + 3, 75), fill=NOSE)
    pen.polygon([(58, 84), (70, 84), (64, 92)], fill=NOSE)
    for y in (84, 94):
        pen.line((8, y - 4, 44, y), fill=MOON, width=2)
        pen.line((SIZE - 8, y - 4, SIZE - 44, y), fill=MOON, width=2)
    return picture


if __name__ == "__main__":
    cat().save("cat.png", optimize=True)
