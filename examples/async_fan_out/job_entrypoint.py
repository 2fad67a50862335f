import asyncio
from typing import TypedDict

# What the shops want for things, and how long they think about it.
SHOPS: dict[str, dict[str, float]] = {
    "north": {"kettle": 24.5, "lamp": 18.0},
    "south": {"kettle": 21.0, "lamp": 19.5, "rug": 80.0},
    "east": {"kettle": 23.25},
}
SECONDS_AN_ANSWER = 0.2


class Offers(TypedDict):
    offers: dict[str, float]
    best: str | None


class JobEntrypoint:
    """Finds the shop with the best offer."""

    async def perform(self, item: str, count: int = 1) -> Offers:
        """
        Ask all shops at once.
        :param item: What is wanted.
        :param count: How many of it.
        :return: What each shop that has it asks for, and which one asks for the least.
        """
        answers = await asyncio.gather(*(asked(shop, item) for shop in SHOPS))
        offers = {
            shop: count * price for shop, price in zip(SHOPS, answers, strict=True) if price is not None
        }
        return {"offers": offers, "best": min(offers, key=offers.__getitem__, default=None)}

    def docs_input_example(self) -> dict[str, object]:
        return {"item": "kettle", "count": 2}


async def asked(shop: str, item: str) -> float | None:
    """The price that a shop asks for. A stand-in: here a client would send a request."""
    await asyncio.sleep(SECONDS_AN_ANSWER)
    return SHOPS[shop].get(item)
