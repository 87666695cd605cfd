"""A natural voice: a network of Piper, whose input are the phones that espeak-ng makes of text."""

import functools
import json
import unicodedata
from pathlib import Path

import numpy as np
import soxr

from speechllm.data.speech.synthesis.tts import SAMPLE_RATE, espeak
from speechllm.errors import SpeechLLMError

PAD, BEGIN, END = "_", "^", "$"


class Piper:
    """A voice in a folder that `utils/pretrained.sh` made: `<name>.onnx` and `<name>.onnx.json`.

    Samples are a function of text and seed alone: the network draws its noise by itself, in the
    order of its calls, so that every utterance gets a network of its own, after the seed was set.

    Args:
        folder: of the voice.

    Raises:
        SpeechLLMError: onnxruntime is not installed, or there is no voice in the folder.
    """

    def __init__(self, folder: Path):
        try:
            import onnxruntime
        except ImportError as error:
            raise SpeechLLMError(
                "the natural voice needs the package onnxruntime", "pip install 'speechllm[mini]'"
            ) from error
        self._runtime = onnxruntime
        found = sorted(folder.glob("*.onnx"))
        if not found:
            remedy = f"utils/pretrained.sh piper-joe {folder}"
            raise SpeechLLMError(f"there is no voice in {folder}", remedy)
        self._network = found[0].read_bytes()
        self._config = json.loads(Path(f"{found[0]}.json").read_text(encoding="utf-8"))
        # One thread, so that sums are added in one order; what optimising takes, one call does not
        # bring back.
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = self._options.inter_op_num_threads = 1
        self._options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL

    def phone_ids(self, text: str) -> list[int]:
        """The network's input: begin, phones, a full stop, end, with pads in between.

        Phones that the voice has never learnt are left out, as Piper does.
        """
        ids = self._config["phoneme_id_map"]
        ipa = espeak().ipa(text, self._config["espeak"]["voice"])
        phones = [BEGIN, *unicodedata.normalize("NFD", ipa.strip()), ".", END]
        known = [ids[phone] for phone in phones if phone in ids]
        return [i for phone in known for i in (*phone, *ids[PAD])][: -len(ids[PAD])]

    def synthesise(self, text: str, seed: int) -> np.ndarray:
        """Speak `text`.

        Args:
            seed: of rhythm and breath, 0 to 2**31 - 1.

        Returns:
            float32 [samples] at 16 kHz.
        """
        self._runtime.set_seed(seed)
        session = self._runtime.InferenceSession(
            self._network, self._options, providers=["CPUExecutionProvider"]
        )
        ids, scales = self.phone_ids(text), self._config["inference"]
        names = ("noise_scale", "length_scale", "noise_w")
        inputs = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array([scales[name] for name in names], np.float32),
        }
        samples = session.run(None, inputs)[0].reshape(-1)
        return soxr.resample(samples, self._config["audio"]["sample_rate"], SAMPLE_RATE)


@functools.cache
def piper(folder: Path) -> Piper:
    """This process's voice of a folder."""
    return Piper(folder)
