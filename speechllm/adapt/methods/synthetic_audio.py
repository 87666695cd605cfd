"""Synthetic target speech: text-to-speech of target text, through the encoder."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import soundfile
from pydantic import model_validator

from speechllm.adapt.made.made_data import MadeOfText, key
from speechllm.adapt.method import Workspace
from speechllm.config import PositiveFloat, PositiveInt
from speechllm.data.dirs.kaldi import DataDir, write_data_dir
from speechllm.data.speech.audio import write_audio
from speechllm.data.speech.features import Encode, extract, merge
from speechllm.data.speech.synthesis.reverb import Room, make_room
from speechllm.data.speech.synthesis.tts import SAMPLE_RATE
from speechllm.data.speech.synthesis.tts_plugins import EspeakVoices, Speak, TtsConfig, make_speaker
from speechllm.errors import ConfigError
from speechllm.files.made_from import MADE_FROM, changed_since, write_record
from speechllm.files.progress import Progress
from speechllm.files.whole import sha256_of
from speechllm.slot.mixture import Component

if TYPE_CHECKING:  # to read a config needs no torch
    from speechllm.slot.corpus import Corpus

log = logging.getLogger(__name__)


class SyntheticAudio(MadeOfText):
    """LoRA on target text that is synthesised, optionally with reverberation.

    It follows Joshi & Singh (2206.13240), who fine-tune on synthesised target text, and Labrak et
    al. (2606.29031), who add room impulse responses for an LLM-based recogniser, without their
    selection of layers. Target audio is used only where `target_audio` asks for it.
    """

    made_as = "synthetic speech"
    made = Component("audio", "synthetic")
    tts: TtsConfig = TtsConfig(espeak=EspeakVoices())
    renditions: PositiveInt = 1
    """Number of times each sentence is spoken; espeak's voice, or the room, is drawn anew each
    time."""
    rt60: PositiveFloat | None = None
    """Reverberation time in seconds of a simulated room; null = none."""
    room_responses: str | None = None
    """File with paths of recorded room impulse responses, one a line; null = none."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.rt60 and self.room_responses:
            raise ValueError("give either rt60 or room_responses")
        if self.renditions > 1 and not (self.tts.espeak or self.rt60 or self.room_responses):
            raise ValueError("renditions: without a room this plug-in makes the same every time")
        return self

    def prepare(self, workspace: Workspace) -> Mapping[str, "Corpus"]:
        """Speak the target's text into domain "synthetic": a data dir and its features.

        Raises:
            ConfigError: the plug-in fails (names the utterance), or ids of renditions collide.
        """
        from speechllm.slot.corpus import Corpus

        target, model = workspace.corpora["target"], workspace.model
        encoder, settings = model.config.audio_model, model.config.encoder_settings
        seed = self.train.seed
        speak = make_speaker(self.tts, seed)
        room = make_room(self.rt60, self.room_responses, seed)
        of = renditions(target.written, self.renditions)
        text = {utt: target.text[written] for utt, written in of.items()}
        folder = workspace.folder / "synthetic_audio" / key(self._settings(text))
        data_dir = speak_all(text, speak, room, folder / "data" / f"{target.name}_synthetic")

        def load_encoder() -> Encode:
            from speechllm.model.encoder.encoder import Encoder

            trusted = model.config.trust_remote_code
            return Encoder(encoder, workspace.device, trusted, **settings).encode

        extract([data_dir], folder / "dump", encoder, load_encoder, settings=settings)
        merge([data_dir], folder / "dump", encoder, settings)
        corpus = Corpus([data_dir]).open_frames(folder / "dump", encoder, settings)
        corpus.label({utt: target.targets[of[utt]] for utt in corpus.text})
        corpus.measure(model.tokenizer, model.projector.output_length)
        corpus.origin = {
            "utterances": len(corpus.text),
            "hours": round(corpus.hours(list(corpus.text)), 4),
        }
        log.info("synthetic speech: %(utterances)d utterances, %(hours).2f h", corpus.origin)
        return {"synthetic": corpus}

    def _settings(self, text: Mapping[str, str]) -> dict[str, Any]:
        """All that the samples depend on; a newer key counts only if used, so old samples stay."""
        tts = self.tts.model_dump(mode="json")
        if self.tts.espeak and not self.tts.espeak.say:
            del tts["espeak"]["say"]
        return {
            "text": dict(text),
            "tts": tts,
            "rt60": self.rt60,
            "room_responses": self.room_responses and sha256_of([self.room_responses]),
            "seed": self.train.seed,
        }


def renditions(written: Iterable[str], count: int) -> dict[str, str]:
    """Utterance id by the id of each of its renditions; the first rendition keeps the utterance's.

    Args:
        written: ids of the utterances to speak.
        count: renditions of each.

    Raises:
        ConfigError: the name of a rendition is that of another utterance.
    """
    written = list(written)
    of = {utt: utt for utt in written}
    for number in range(2, count + 1):
        for utt in written:
            name = f"{utt}-r{number}"
            if name in of:
                raise ConfigError(f"renditions: {name} is an utterance of its own")
            of[name] = utt
    return of


def speak_all(text: Mapping[str, str], speak: Speak, room: Room, folder: Path) -> DataDir:
    """Speak every text and write a data dir; files of an earlier call that are whole are kept.

    Args:
        text: texts by utterance id.
        speak: plug-in that synthesises.
        room: adds the reverberation.
        folder: the data dir; the samples go to `wav` in it.
    """
    wav, durations = {}, {}
    places = {utt_id: folder / "wav" / f"{utt_id}.flac" for utt_id in text}
    damaged = changed_since(folder / MADE_FROM, places, partly=True) or ()
    with Progress("synthetic speech", len(text)) as progress:
        for utt_id, words in text.items():
            path = places[utt_id]
            if not path.is_file() or utt_id in damaged:
                samples = room(utt_id, speak(utt_id, words))
                write_audio(path, samples, SAMPLE_RATE)
            wav[utt_id], durations[utt_id] = str(path), soundfile.info(path).duration
            progress.advance()
    write_data_dir(folder, text=text, wav=wav, utt2dur=durations)
    write_record(folder / MADE_FROM, places)
    return DataDir.load(folder)
