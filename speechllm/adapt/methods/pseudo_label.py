"""Pseudo-labels: the base's own hypotheses of unlabelled target speech (2506.03681; 2306.16007)."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from speechllm.adapt.made.made_data import MadeData, key
from speechllm.adapt.made.selection import Filters, Recognised, odd_phrases, read_phrases, select
from speechllm.adapt.method import Workspace
from speechllm.data.speech.feature_records import audio_hash
from speechllm.decode.config import DecodeConfig
from speechllm.errors import ConfigError, DataError, shell_word
from speechllm.files.guarded import guarded
from speechllm.files.layout import DESCRIPTION, MODEL, RUN, TENSORS
from speechllm.files.made_from import is_sealed, sealed_file
from speechllm.files.own import made_again, read_by_id
from speechllm.files.whole import sha256_of, write_json
from speechllm.slot.mixture import Component, subset

if TYPE_CHECKING:  # to read a config needs no torch
    from speechllm.slot.corpus import Corpus

log = logging.getLogger(__name__)

REPORT = "report.json"


class PseudoLabel(MadeData):
    """The base transcribes target speech, filters keep what can be trusted, LoRA learns from it.

    Selection by confidence, by the agreement of two decodes and by entities is that of Rangappa
    et al. (Interspeech 2025, 2506.03681). The transcripts of decoded utterances are never read;
    corrupted target text comes from the other utterances alone.
    """

    made_as = "pseudo-labels"
    p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the target utterances that are decoded; their transcripts are not used."""
    decode: DecodeConfig = DecodeConfig()
    """Search that makes the labels."""
    keep: Filters = Filters()
    """Filters that decide which hypotheses become labels."""
    second_model: str | None = None
    """Folder of a trained model whose decode must agree; null = the base's greedy decode."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.tau_t > 0 and self.p == 1:
            raise ValueError(
                "tau_t: with p = 1 all of the target is heard, nothing is left to read"
            )
        agreement = self.keep.max_disagreement is not None
        if self.second_model and not agreement:
            raise ValueError("second_model: give keep.max_disagreement, for which it decodes")
        if agreement and not self.second_model and self.decode.beam == 1:
            raise ValueError("keep.max_disagreement: two greedy decodes are the same")
        return self

    @property
    def reads_target_text(self) -> bool:
        return self.tau_t > 0

    def components(self, sizes: Mapping[str, int]) -> Sequence[Component]:
        return self.mixture(
            Component("audio", "pseudo"),
            Component("noisy_text", "target", fraction=self.p, complement=True),
        )

    def prepare(self, workspace: Workspace) -> Mapping[str, "Corpus"]:
        """Decode target speech; hypotheses that pass the filters are the targets of "pseudo".

        Raises:
            ConfigError: the filters keep nothing, the second model is missing, or the phrases
                cannot be read.
            DataError: the target has no audio, no durations, or no features.
        """
        from speechllm.adapt.made.listening import listen
        from speechllm.slot.corpus import Corpus

        phrases = read_phrases(self.keep.phrases) if self.keep.phrases else []
        if self.second_model and not (Path(self.second_model) / RUN).is_file():
            raise ConfigError(f"second_model: {self.second_model} holds no trained model")
        # Loaded anew without text, so that no true transcript can be used below this line.
        dirs = workspace.corpora["target"].dirs
        paths = [data_dir.path for data_dir in dirs if data_dir.has_audio]
        corpus = Corpus.load(paths, with_text=False)
        for data_dir in corpus.dirs:
            if not data_dir.utt2dur:
                remedy = f"speechllm data fix {shell_word(data_dir.path)}"
                raise DataError("no such file", data_dir.path / "utt2dur", remedy=remedy)
        model = workspace.model.config
        corpus.open_frames(workspace.dump, model.audio_model, model.encoder_settings)
        corpus.measure(workspace.model.tokenizer, workspace.model.projector.output_length)
        corpus.label(dict.fromkeys(subset(list(corpus.text), self.p, self.train.seed), ""))

        task = workspace.model.task
        decode = task.with_decode_defaults(self.decode)
        settings = self._settings(workspace, corpus, decode)
        folder = workspace.folder / "pseudo_label"
        path = folder / f"heard.{key(settings)}.jsonl"
        if not is_sealed(path):
            heard = listen(workspace, corpus, folder, decode, self.keep, self.second_model)
            _write(path, heard)
        heard = _read(path)
        if said := odd_phrases(heard, phrases):
            log.warning("keep.phrases: %s: %s; write both alike", self.keep.phrases, said)
        kept, report = select(heard, self.keep, phrases, task.is_answer)
        report["hours_heard"] = round(corpus.hours(list(corpus.text)), 4)
        write_json(folder / REPORT, report)
        log.info("pseudo-labels: %s", json.dumps(report))
        if not kept:
            raise ConfigError(
                f"the filters keep none of {len(heard)} hypotheses: {report['passed']} pass each",
                f"loosen `keep`; the hypotheses are in {path}",
            )
        corpus.label({utt: heard[utt].text for utt in kept})
        corpus.measure(workspace.model.tokenizer, workspace.model.projector.output_length)
        corpus.origin = report
        return {"pseudo": corpus}

    def _settings(
        self, workspace: Workspace, corpus: "Corpus", decode: DecodeConfig
    ) -> dict[str, Any]:
        """All that the hypotheses and their scores depend on."""
        bundles = [workspace.bundle]
        if self.second_model:
            bundles.append(Path(self.second_model) / MODEL)
        samples = [data_dir.samples for data_dir in corpus.dirs if data_dir.samples]
        wanted = {"log_prob": self.keep.min_log_prob, "disagreement": self.keep.max_disagreement}
        return {
            "models": [sha256_of([b / TENSORS, b / DESCRIPTION]) for b in bundles],
            "audio": [audio_hash(data_dir) for data_dir in corpus.dirs],
            **({"samples": samples} if samples else {}),
            "p": self.p,
            "seed": self.train.seed,
            "decode": decode.model_dump(mode="json", exclude={"batch_positions"}),
            "scores": [name for name, limit in wanted.items() if limit is not None],
        }


def _write(path: Path, heard: Mapping[str, Recognised]) -> None:
    with sealed_file(path) as stream:
        for utt, h in heard.items():
            stream.write(json.dumps({"id": utt, **asdict(h)}, ensure_ascii=False) + "\n")


def _read(path: Path) -> dict[str, Recognised]:
    with guarded(path, "is damaged", remedy=made_again(path)):
        return {record.pop("id"): Recognised(**record) for record in read_by_id(path).values()}
