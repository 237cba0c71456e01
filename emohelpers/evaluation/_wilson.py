"""The interval of a share."""

__all__ = ["wilson"]


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the ends of Wilson's 95% interval of a share, which holds at 0 and 1 as well.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(0, 10)]
    [0.0, 0.278]
    """
    # Not at the top: it takes a second that whoever never asks for it should not wait.
    from scipy.stats import binomtest

    interval = binomtest(hits, n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
