"""What adaptation brought: gain, gap closed and forgetting, from error rates in percent."""


def gain(error: float | None, base: float | None) -> float | None:
    """Relative reduction of the base's error, in percent; None where either is not known."""
    return 100 * (base - error) / base if error is not None and base else None


def has_gap(base: float | None, audio: float | None) -> bool:
    """Whether fine-tuning on audio helps at all, so that a share of its help means something."""
    return base is not None and audio is not None and base > audio


def gap_closed(error: float | None, base: float | None, audio: float | None) -> float | None:
    """Share of the way from the base to fine-tuning on audio, in percent; None without a way."""
    if error is None or base is None or audio is None or not has_gap(base, audio):
        return None
    return 100 * (base - error) / (base - audio)


def forgetting(error: float | None, base: float | None) -> float | None:
    """What adaptation added to an error of the source, in points."""
    return None if error is None or base is None else error - base
