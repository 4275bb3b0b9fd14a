"""Numbers as the records keep them."""

from collections.abc import Sequence
from statistics import quantiles


def significant(value: float) -> float:
    """The value with four significant digits."""
    return float(f"{value:.4g}")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, quartiles and range, with four significant digits."""
    lower, middle, upper = quantiles(values, n=4, method="inclusive")
    found = {"median": middle, "lower_quartile": lower, "upper_quartile": upper}
    found |= {"smallest": min(values), "largest": max(values)}
    return {name: significant(value) for name, value in found.items()}


def ratio_spread(times: Sequence[float], others: Sequence[float]) -> dict[str, float]:
    """The ratios times / others, round by round: their median, quartiles and range."""
    return spread([time / other for time, other in zip(times, others, strict=True)])
