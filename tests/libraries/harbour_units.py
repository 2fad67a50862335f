"""The library of a team, which examples/private_requirements needs."""


def knots(kilometres_an_hour: float) -> float:
    """A speed in knots, which are nautical miles an hour."""
    return kilometres_an_hour / 1.852
