"""Target text with posteriors of a simulator that is trained on source speech."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from speechllm.adapt.made.ctc_teacher import SimulatorPair, pairs_of, reading, word_errors
from speechllm.adapt.made.heard import ctc_of, new_to_projector, spelled
from speechllm.adapt.made.posterior_simulator import (
    Ask,
    Lesson,
    PosteriorSimulator,
    draw_all,
    learn,
)
from speechllm.adapt.method import Workspace
from speechllm.errors import ConfigError
from speechllm.files.progress import Progress
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.pseudo_audio.sparse_posteriors import PosteriorBank, SimulatedText

if TYPE_CHECKING:
    from speechllm.adapt.methods.tasu2 import Tasu2

CANDIDATES = 16
"""Number of symbols kept of a posterior."""
HELD_OUT, MOST_HELD_OUT = 0.1, 200
"""Share of the pairs that are held out to evaluate the simulator, and their maximum number."""
SHARPNESS = (0.7, 8.0)
"""Range of exponents of the predictions, in which the one that meets a bin's WER is sought."""
TRIES = 6
BATCH = 64


class Control(NamedTuple):
    """Fit of a bin's simulated WER to the real one; mean WER of utterances, in percent.

    Attributes:
        real: WER of the source's readings in the bin.
        simulated: WER of held-out texts simulated in the bin.
        sharpness: exponent of the predictions that these are drawn from.
    """

    real: float
    simulated: float
    sharpness: float


def bin_of(wer: float, bounds: Sequence[float]) -> int:
    """Index of the first bin whose upper bound is not below a WER; else of the last bin."""
    return next((i for i, bound in enumerate(bounds) if wer <= bound), len(bounds) - 1)


def simulate(method: "Tasu2", workspace: Workspace) -> SimulatedText:
    """Train a simulator on source speech; simulate the target's text in the bins of `method.wer`.

    The simulator runs on the CPU, so that all processes get the same numbers.

    Raises:
        ConfigError: CTC reads hardly anything in the source's speech, or nothing with a WER in
            those bins; the target's text cannot be spelled, or nothing is learnt.
        DataError: the source has no audio, or no features.
    """
    model, target, seed = workspace.model, workspace.corpora["target"], method.train.seed
    texts = spelled(model, target.text)
    pairs = _pairs(method, workspace)
    lessons = [Lesson(p.text, bin_of(p.wer, method.bins), p.posteriors) for p in pairs]
    aside = max(1, min(MOST_HELD_OUT, round(HELD_OUT * len(pairs))))
    taught, held_out = lessons[aside:], lessons[:aside]
    shown = sorted({one.bin for one in taught if method.bins[one.bin] in method.wer})
    if not shown:
        raise ConfigError(
            f"no source utterance is read with a WER in the bins {list(method.wer)}",
            "name other bins in wer",
        )
    symbols = 1 + len(model.units)
    network, entropy = learn(method.simulator, symbols, len(method.bins), taught, held_out, seed)
    wers = {b: [p.wer for p in pairs if bin_of(p.wer, method.bins) == b] for b in shown}
    real = {b: float(np.mean(some)) for b, some in wers.items()}
    control = {b: _control(model, network, pairs[:aside], b, real[b], seed) for b in shown}
    asked = [
        Ask(rows, b, f"{seed} {utt} {n}", control[b].sharpness)
        for utt, rows in texts.items()
        for b in shown
        for n in range(method.variants)
    ]
    with Progress("simulate posteriors", len(asked)) as progress:
        paths = draw_all(network, asked, BATCH, progress.advance)
    bank = PosteriorBank((one.bin, one.posteriors) for one in taught)
    drawn = [
        bank.dress(path, ask.bin, random.Random(f"posteriors {ask.bin} {ask.seed}"))
        for ask, path in zip(asked, paths, strict=True)
    ]
    by_bin = [drawn[i : i + method.variants] for i in range(0, len(drawn), method.variants)]
    variants = {utt: by_bin[i * len(shown) : (i + 1) * len(shown)] for i, utt in enumerate(texts)}
    corpus = SimulatedText(target.name, target.text, target.targets, variants, _table(model))
    corpus.measure(model.tokenizer, model.projector.output_length)
    counts = Counter(one.bin for one in lessons)
    corpus.origin = {
        "pairs": len(taught),
        "held_out": len(held_out),
        "pairs_by_bin": {f"{bound:g}": counts[b] for b, bound in enumerate(method.bins)},
        "cross_entropy": round(entropy, 4),
        "wer": {
            f"{method.bins[b]:g}": {k: round(v, 2) for k, v in c._asdict().items()}
            for b, c in control.items()
        },
    }
    return corpus


def _pairs(method: "Tasu2", workspace: Workspace) -> list[SimulatorPair]:
    """Pairs from all over the source, in random order."""
    model, source = workspace.model, workspace.audible_source()
    ids = new_to_projector(workspace, method.utterances)
    pairs = pairs_of(model, source, ids, CANDIDATES)
    if len(pairs) < 2:
        raise ConfigError(f"in {len(ids)} source utterances CTC hears hardly anything but blanks")
    random.Random(f"pairs {method.train.seed}").shuffle(pairs)
    return pairs


def _control(
    model: SpeechLLM,
    network: PosteriorSimulator,
    pairs: Sequence[SimulatorPair],
    bin: int,
    real: float,
    seed: int,
) -> Control:
    """Find the sharpness at which a bin's simulated readings have the WER of the source's."""
    compress = ctc_of(model, "tasu2").config.compress
    said = {p.utt_id: reading(model, p.text, merged=True) for p in pairs}
    low, high = SHARPNESS
    tried = []
    for _ in range(TRIES):  # the sharper, the fewer errors
        sharpness = (low * high) ** 0.5
        asked = [Ask(p.text, bin, f"{seed} {p.utt_id}", sharpness) for p in pairs]
        paths = draw_all(network, asked, BATCH)
        read = {
            p.utt_id: reading(model, path, compress) for p, path in zip(pairs, paths, strict=True)
        }
        found = float(np.mean([*word_errors(said, read).values()]))
        tried.append(Control(real, found, sharpness))
        low, high = (sharpness, high) if found > real else (low, sharpness)
    return min(tried, key=lambda one: abs(one.simulated - real))


def _table(model: SpeechLLM) -> np.ndarray:
    """LLM inputs [1 + U, E] for the blank and for each unit."""
    blank = ctc_of(model, "tasu2").blank_vector.detach().float().cpu().numpy()
    return np.concatenate([blank[None], model.unit_embeddings.detach().float().cpu().numpy()])
