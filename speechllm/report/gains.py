"""Effects of adaptation: gain, gap closed and forgetting, from error rates in percent."""


def gain(error: float | None, base: float | None) -> float | None:
    """Relative reduction of the base's error, in percent; None where either is not known.

    >>> gain(20.0, 25.0)
    20.0
    """
    return 100 * (base - error) / base if error is not None and base else None


def has_gap(base: float | None, audio: float | None) -> bool:
    """Whether fine-tuning on audio helps at all; only then is there a gap to take a share of."""
    return base is not None and audio is not None and base > audio


def gap_closed(error: float | None, base: float | None, audio: float | None) -> float | None:
    """Share of the gap from the base to fine-tuning on audio, in percent; None without a gap.

    Args:
        error: the model's error rate.
        base: error rate of the base.
        audio: error rate of the model fine-tuned on audio.

    >>> gap_closed(20.0, 25.0, 15.0)
    50.0
    """
    if error is None or base is None or audio is None or not has_gap(base, audio):
        return None
    return 100 * (base - error) / (base - audio)


def forgetting(error: float | None, base: float | None) -> float | None:
    """Change of the source error rate by adaptation, in points; above zero it has become worse."""
    return None if error is None or base is None else error - base
