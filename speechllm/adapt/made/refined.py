"""Target text behind pseudo-audio that a refiner makes from it, anew each time it is shown."""

import json
import logging
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from speechllm.adapt.made.durations import Durations, Said, owners
from speechllm.adapt.made.heard import ctc_of, hear, new_to_projector, spelled, unit_rows
from speechllm.adapt.made.made_data import key
from speechllm.adapt.made.refiner import Refiner, RefinerPair, distance, train_refiner
from speechllm.adapt.method import Workspace
from speechllm.errors import ConfigError
from speechllm.files.guarded import guarded
from speechllm.files.layout import TENSORS
from speechllm.files.made_from import is_sealed, sealed_file
from speechllm.files.own import made_again
from speechllm.files.whole import sha256_of
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.corpus import Corpus
from speechllm.slot.pseudo_audio.contents import Projected
from speechllm.slot.pseudo_audio.corpus import PseudoAudio

if TYPE_CHECKING:
    from speechllm.adapt.methods.te2sl import RefinerConfig

log = logging.getLogger(__name__)

REFINER, DURATIONS, ORIGIN = "refiner.", "durations", "origin"  # names in its file
HELD_OUT = 20
"""One pair in so many is held out, to measure the refiner's distance from real speech."""


class RefinedCorpus(PseudoAudio):
    """Text shown as a refiner's pseudo-audio, with durations drawn anew each time.

    Args:
        name, text, targets: as for `PseudoAudio`.
        units: CTC symbols of each transcript, by utterance id.
        table: [U, E] embedding of each unit; row 0 is symbol 1.
        refiner: trained refiner in eval mode, on the CPU.
        durations: durations of units.
    """

    def __init__(
        self,
        name: str,
        text: Mapping[str, str],
        targets: Mapping[str, str],
        units: Mapping[str, Sequence[int]],
        table: Tensor,
        refiner: Refiner,
        durations: Durations,
    ):
        lengths = {utt: round(durations.expected(line)) for utt, line in units.items()}
        super().__init__(name, text, targets, lengths)
        self.units, self.refiner, self.durations = units, refiner, durations
        self._used = np.unique([unit for line in units.values() for unit in line]).astype(int)
        rows = torch.from_numpy(self._used - 1).to(table.device)
        self._table = table[rows].detach().float().cpu()

    @torch.inference_mode()
    def simulate(self, utt_id: str, rng: random.Random) -> Projected:
        """Pseudo-audio [M, E] of a text, in place of projected speech."""
        units = self.units[utt_id]
        rows = np.repeat(np.searchsorted(self._used, units), self.durations.draw(units, rng))
        embeddings = self._table[torch.from_numpy(rows)]
        if not len(rows):
            return Projected(embeddings.numpy())
        refined = self.refiner(embeddings[None], torch.tensor([len(rows)]))
        return Projected(refined[0].numpy())


def refined_text(workspace: Workspace, config: "RefinerConfig", seed: int) -> RefinedCorpus:
    """Make the target's text with its pseudo-audio, measured; the source must have audio.

    Args:
        workspace: base model and corpora.
        config: refiner and its optimisation.
        seed: seed of the refiner's training.

    Raises:
        ConfigError: the projector has no CTC, source speech does not fit its transcripts, the
            target's text cannot be spelled, or nothing is learnt.
        DataError: the source has no audio, or no features.
    """
    model, target = workspace.model, workspace.corpora["target"]
    ctc_of(model, "te2sl")
    units = spelled(model, target.text)
    learnt = _learnt(workspace, config, seed)
    corpus = RefinedCorpus(
        target.name,
        target.text,
        target.targets,
        units,
        model.unit_embeddings,
        learnt.refiner,
        learnt.durations,
    )
    corpus.measure(model.tokenizer, model.projector.output_length)
    corpus.origin = learnt.origin
    return corpus


class Learnt(NamedTuple):
    """Refiner and durations, learnt from source pairs.

    Attributes:
        refiner: trained refiner, in eval mode.
        durations: durations of units.
        origin: numbers of pairs, and the refiner's distance from real speech, for run.json.
    """

    refiner: Refiner
    durations: Durations
    origin: dict[str, Any]


def _learnt(workspace: Workspace, config: "RefinerConfig", seed: int) -> Learnt:
    """Learn once for each base, source and settings; all targets share the result.

    It is stored beside the base's bundle. Training on a GPU does not repeat to the bit, and a
    killed run has to go on with the refiner that it had.
    """
    source = workspace.corpora["source"]
    known = {
        "base": sha256_of([workspace.bundle / TENSORS]),
        "audio": [d.samples for d in source.dirs],
        "text": list(source.text.items()),
        "config": config.model_dump(mode="json"),
        "seed": seed,
    }
    path = workspace.bundle.parent / "refiner" / f"{source.name}.{key(known)}.safetensors"
    if not is_sealed(path):
        learnt = _learn(workspace, config, seed)
        if not is_sealed(path):  # another run may have been quicker; both go on with its refiner
            _save(path, learnt)
    learnt = _load(path, config)
    log.info("refiner: %s", json.dumps(learnt.origin))
    return learnt


def _learn(workspace: Workspace, config: "RefinerConfig", seed: int) -> Learnt:
    model, source = workspace.model, workspace.audible_source()
    ids = new_to_projector(workspace, config.pairs)
    pairs, said = aligned(model, source, ids)
    if len(pairs) < 2:
        raise ConfigError(
            f"te2sl: {len(pairs)} of {len(ids)} source utterances can be aligned with what is "
            "heard in them, and a refiner needs two at least",
            "give more source speech, or train a base that reads it better",
        )
    held = {*range(HELD_OUT // 2, len(pairs), HELD_OUT)} or {len(pairs) - 1}
    held_out = [pairs[i] for i in sorted(held)]
    taught = [pair for i, pair in enumerate(pairs) if i not in held]
    table = model.unit_embeddings.detach()
    refiner = train_refiner(taught, table, config, seed)
    durations = Durations.of(said)
    refined = distance(held_out, table, refiner)
    if not math.isfinite(refined["error"]):
        raise ConfigError("te2sl: the refiner's numbers are not finite", "lower refiner.lr")
    origin = {
        "pairs": len(taught),
        "unaligned": len(ids) - len(pairs),
        "held_out": len(held_out),
        "refined": refined,
        "embeddings": distance(held_out, table),
        "positions_per_unit": round(durations.mean, 3),
    }
    return Learnt(refiner, durations, origin)


def aligned(
    model: SpeechLLM, corpus: Corpus, ids: Sequence[str]
) -> tuple[list[RefinerPair], list[Said]]:
    """Align utterances with their transcripts; those that cannot be aligned are left out.

    Args:
        model: model whose projector has CTC.
        corpus: corpus with its frames opened.
        ids: ids of some of its spoken utterances.

    Returns:
        Pairs for the refiner, and units with their positions for `Durations`.
    """
    pairs: list[RefinerPair] = []
    said: list[Said] = []
    for utt, heard in hear(model, corpus, ids):
        units = unit_rows(model, corpus.text[utt])
        owned = owners(heard, units)
        if owned is not None and len(owned):
            pairs.append(RefinerPair(np.array(units)[owned] - 1, heard.vectors.astype(np.float16)))
            said.append(Said(units, owned))
    return pairs, said


def _save(path: Path, learnt: Learnt) -> None:
    tensors = {f"{REFINER}{k}": v.cpu() for k, v in learnt.refiner.state_dict().items()}
    tensors[DURATIONS] = torch.from_numpy(learnt.durations.measured)
    with sealed_file(path, "wb") as stream:
        stream.write(save(tensors, {ORIGIN: json.dumps(learnt.origin)}))


def _load(path: Path, config: "RefinerConfig") -> Learnt:
    with (
        guarded(path, "is damaged, no refiner", remedy=made_again(path)),
        safe_open(path, "pt") as stored,
    ):
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        durations = Durations(tensors.pop(DURATIONS).numpy())
        weights = {name.removeprefix(REFINER): tensor for name, tensor in tensors.items()}
        refiner = Refiner(config, len(weights["expand.bias"]))
        refiner.load_state_dict(weights)
        return Learnt(refiner.eval(), durations, json.loads(stored.metadata()[ORIGIN]))
