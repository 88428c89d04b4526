"""Numbers as people read them: a sign that can be told from a hyphen, and no minus zero."""

MINUS, ELLIPSIS = "\N{MINUS SIGN}", "\N{HORIZONTAL ELLIPSIS}"
DOWN, UP = "\N{DOWNWARDS ARROW}", "\N{UPWARDS ARROW}"


def signed(value: float, digits: int) -> str:
    """Return a difference with its sign, which 0 has none of."""
    rounded = f"{abs(value):.{digits}f}"
    if not float(rounded):
        return rounded
    return f"{'+' if value > 0 else MINUS}{rounded}"


def span(low: float, high: float, digits: int) -> str:
    """Return an interval of differences."""
    return f"{signed(low, digits)}{ELLIPSIS}{signed(high, digits)}"
