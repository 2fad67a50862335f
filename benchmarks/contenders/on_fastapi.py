"""The works under FastAPI, in plain functions: `uvicorn on_fastapi:app`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio.to_thread
import work
from fastapi import Body, FastAPI

THREADS = 8


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """As many threads for plain functions as the others have, not 40."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


app = FastAPI(lifespan=lifespan)
# Named in the body as in those of the others: {"count": 100000}, not 100000 alone.
Number = Annotated[float, Body(embed=True)]
Whole = Annotated[int, Body(embed=True)]
Document = Annotated[dict[str, Any], Body(embed=True)]


@app.post("/api/v1/perform")
def perform(x: Number, y: Number) -> float:
    return work.add(x, y)


@app.post("/api/v1/record")
def record(record: Document) -> dict[str, Any]:
    return work.record(record)


@app.post("/api/v1/floats")
def floats(count: Whole) -> list[float]:
    return work.floats(count)


@app.post("/api/v1/sleep")
def sleep(milliseconds: Number) -> float:
    return work.sleep(milliseconds)


@app.post("/api/v1/cpu")
def cpu(turns: Whole) -> int:
    return work.cpu(turns)
