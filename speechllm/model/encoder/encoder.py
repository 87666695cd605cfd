"""The frozen speech encoder: waves in, frames out."""

import copy
import inspect
import logging
import threading
import warnings
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from speechllm.data.speech.audio import SAMPLE_RATE
from speechllm.data.speech.audio_error import WaveError
from speechllm.errors import ConfigError
from speechllm.model.compute.cpu_layers import with_cpu_layers
from speechllm.model.compute.half import ROUNDING, difference, try_out
from speechllm.model.compute.precision import resolve_dtype
from speechllm.model.encoder.fbank import without_frame_loop
from speechllm.model.encoder.tower import Tower, find_tower, load_extractor, load_tower
from speechllm.model.encoder.window import (
    can_be_cut,
    hide_padding,
    pieces,
    shortened,
    stride,
    window_samples,
)
from speechllm.pretrained import resolve_folder

log = logging.getLogger(__name__)

AMPLE = SAMPLE_RATE  # samples that are enough for every encoder
AT_ONCE = 240 * SAMPLE_RATE  # samples, with padding, of windows in one batch
AT_ONCE_ON_CPU = 16 * SAMPLE_RATE  # samples in one batch on a CPU: more would not fit its caches
TRIED = (9_123, 9_603, 10_083, 10_563, 20_000)
"""Lengths of a trial batch in samples; the first four are compared with and without padding. They
make whole and broken stacks of 2 or 4 frames: an encoder that squeezes frames (SEW) lets padding
into broken stacks only."""
LEAK = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""Least difference, as a part of a frame's norm, that rounding does not explain."""
LEAK_ON_GPU = 1e-2  # in float32, where convolutions round to TF32


class Encoder:
    """Frozen speech encoder of transformers with its own feature extractor.

    Everything about it (normalisation, frame rate, width, length of its window) comes from the
    model's folder. Frames never depend on what else is in the batch: whether padding leaks into
    them is tried out once, and an encoder that lets it in gets its utterances one by one.

    Several threads may encode at once. One of them runs the model while the others run the
    extractor, which takes longer on a CPU than the model on a GPU.
    """

    def __init__(
        self,
        name: str,
        device: str = "cpu",
        trust_remote_code: bool = False,
        window: str = "padded",
        dtype: str = "float32",
    ):
        """Load an encoder.

        Args:
            name: folder or hub id of an encoder, of a recogniser whose encoder is taken, or of an
                audio LLM whose tower is taken.
            device: torch device to compute on.
            trust_remote_code: run the model's own code.
            window: for an encoder that was trained on windows of one length (Whisper: 30 s):
                `padded` fills the window with silence, as in training; `cut` encodes the
                utterance alone; `kept` is `padded`, but keeps the frames of the silence where
                the model around the encoder gets them too (Voxtral). A longer utterance is
                encoded window by window in any case.
            dtype: dtype of the weights: float32, float16 or bfloat16; auto is bfloat16 if the
                device multiplies it natively, else float32.

        Raises:
            ConfigError: there is no such encoder, it cannot be used, or this device computes it
                wrongly in `dtype`; the error names the config key.
        """
        folder = resolve_folder(name, "model.encoder")
        tower = find_tower(folder, name, trust_remote_code)
        extractor = load_extractor(folder, name, trust_remote_code)
        chosen = resolve_dtype(dtype, device)
        if dtype == "auto":
            log.info("%s computes in %s here", name, chosen)
        model = load_tower(tower, folder, name, getattr(torch, chosen), trust_remote_code)
        self._prepare(name, tower, extractor, model, device, window)

    @classmethod
    def sketch(
        cls, name: str, trust_remote_code: bool = False, window: str = "padded"
    ) -> "Encoder":
        """Build the encoder with one layer and random weights, on the CPU; reads no weights.

        Its frames have the right number and width, and mean nothing.

        Args:
            name: folder or hub id of the model.
            trust_remote_code: run the model's own code.
            window: see `Encoder`.
        """
        folder = resolve_folder(name, "model.encoder", weights=False)
        tower = find_tower(folder, name, trust_remote_code)
        extractor = load_extractor(folder, name, trust_remote_code)
        config = copy.deepcopy(tower.config)
        config.num_hidden_layers = 1
        encoder = cls.__new__(cls)
        encoder._prepare(name, tower, extractor, tower.cls(config), "cpu", window)
        return encoder

    def _prepare(
        self, name: str, tower: Tower, extractor: Any, model: Any, device: str, window: str
    ) -> None:
        from transformers import SeamlessM4TFeatureExtractor

        self.name, self.tower, self.device = name, tower, device
        self._running = threading.Lock()  # `shortened` changes a model while it runs
        self.model = with_cpu_layers(model).eval().requires_grad_(False).to(device)
        self.window_samples = window_samples(extractor, model)
        self.cut = window == "cut"
        self.keeps_window = bool(window == "kept" and self.window_samples and tower.keeps_window)
        if self.cut and not (self.window_samples and can_be_cut(model)):
            raise ConfigError(
                f"model.encoder_window: {name} has no window of one length that could be cut",
                "leave the key out",
            )
        # An extractor that stacks frames keeps or cuts an utterance's last, incomplete stack
        # depending on its neighbours in the batch, unless it pads to whole stacks.
        self._multiple = getattr(extractor, "stride", None)
        if self.cut:
            self._multiple = extractor.hop_length * stride(model)
        is_slow = isinstance(extractor, SeamlessM4TFeatureExtractor)
        self.extractor = without_frame_loop(extractor) if is_slow else extractor
        self._extractor_takes = inspect.signature(type(extractor).__call__).parameters
        self._model_takes = inspect.signature(type(model).forward).parameters
        # Cached frames name the precision of the encoder, so there is no fallback to another.
        try_out(model, f"model.encoder: {name}", "set model.encoder_dtype: float32")
        self.batches = self._padding_stays_out()
        if not self.batches:
            log.info("%s: its frames would hear padding, so utterances go one by one", name)

    @torch.inference_mode()
    def encode(self, waves: list[np.ndarray]) -> list[np.ndarray]:
        """Encode utterances.

        Args:
            waves: mono float32 samples at 16 kHz, one array for each utterance.

        Returns:
            The last layer's output as float16 [T, D] for each utterance, padding removed.

        Raises:
            WaveError: a wave has fewer than `least_samples` samples.
        """
        for position, wave in enumerate(waves):
            if len(wave) < AMPLE and len(wave) < self.least_samples:
                raise WaveError(position, self.least_samples / SAMPLE_RATE)
        cut = [pieces(wave, self.window_samples) for wave in waves]
        flat = [piece for wave in cut for piece in wave]
        most = self._most_at_once(max(map(len, flat)), len(flat)) if self.batches else 1
        batches = [flat[start : start + most] for start in range(0, len(flat), most)]
        found = iter([frames for batch in batches for frames in self._encode_batch(batch)])
        return [
            torch.cat([next(found) for _ in wave]).to(torch.float16).cpu().numpy() for wave in cut
        ]

    def _most_at_once(self, longest: int, all_of_them: int) -> int:
        """Number of pieces of up to `longest` samples to encode in one batch."""
        if self.window_samples and not self.cut:
            longest = self.window_samples
        if self.device == "cpu":
            return max(1, AT_ONCE_ON_CPU // longest)
        return max(1, AT_ONCE // longest) if self.window_samples else all_of_them

    @cached_property
    def least_samples(self) -> int:
        """Fewest samples that give a frame, found by trying."""
        noise = np.random.default_rng(0).normal(0, 0.1, AMPLE).astype(np.float32)
        too_few, enough = 0, AMPLE
        while enough - too_few > 1:
            middle = (too_few + enough) // 2
            if self._takes(noise[:middle]):
                enough = middle
            else:
                too_few = middle
        return enough

    @torch.inference_mode()
    def _takes(self, wave: np.ndarray) -> bool:
        """Whether a wave gives frames; models and extractors raise errors of any kind if not."""
        try:
            with warnings.catch_warnings(action="ignore"):
                frames = self._encode_batch([wave])[0]
        except Exception:
            return False
        return len(frames) > 0 and bool(frames.isfinite().all())

    def _encode_batch(self, waves: list[np.ndarray]) -> list[Tensor]:
        """Frames [T, D] of each wave, from one padded batch."""
        extracted = (
            [self._extract([wave]) for wave in waves] if self.cut else [self._extract(waves)]
        )
        name = self.extractor.model_input_names[0]
        features = _side_by_side([inputs[name] for inputs in extracted])
        masks = [inputs.get("attention_mask") for inputs in extracted]
        mask = None if masks[0] is None else _side_by_side(masks)
        own = [inputs[name].shape[-1] for inputs in extracted]
        with self._running:
            return self._run(features, mask, own, len(waves))

    def _run(
        self, features: Tensor, mask: Tensor | None, own: list[int], count: int
    ) -> list[Tensor]:
        """Frames [T, D] of each wave.

        Args:
            features: the extractor's, padded on the right.
            mask: 0 on padding; None if the extractor gives none.
            own: length of each wave's features before they were padded to the longest; used
                where windows are cut.
            count: number of waves; `features` need not have an axis for them.
        """
        features = features.to(self.device, self.model.dtype)
        mask = None if mask is None else mask.to(self.device)
        short = nullcontext()
        if self.cut:
            short = shortened(self.model, [n // stride(self.model) for n in own])
        with short:
            output = self.model(features, **self._masks(features, mask))
        hidden = output.last_hidden_state
        if hidden.shape[-1] != self.tower.width:
            raise ConfigError(
                f"model.encoder: {self.name} gives frames of width {hidden.shape[-1]}, but its "
                f"config says {self.tower.width}",
                "name another encoder",
            )
        if count == 1 and hidden.dim() == 2:  # without padding, and no axis for the batch
            return [hidden]
        lengths = self._lengths(mask, output)
        return [frames[:length] for frames, length in zip(hidden, lengths, strict=True)]

    def _extract(self, waves: list[np.ndarray]) -> Any:
        """Output of the extractor; options that it does not take are left out."""
        options = {
            "sampling_rate": SAMPLE_RATE,
            "padding": "max_length" if self.window_samples and not self.cut else True,
            "return_attention_mask": True,
            "return_tensors": "pt",
        }
        if self._multiple:
            options["pad_to_multiple_of"] = self._multiple
        taken = {k: v for k, v in options.items() if k in self._extractor_takes}
        return self.extractor(waves, **taken)

    def _masks(self, features: Tensor, mask: Tensor | None) -> dict[str, Tensor | None]:
        """Mask arguments of the model's forward, for padding; none if it takes none."""
        if mask is None or self.cut:
            return {}
        if "input_features_mask" in self._model_takes:
            return {"input_features_mask": mask}
        if "attention_mask" not in self._model_takes:
            return {}
        if not self.window_samples:
            return {"attention_mask": mask}
        if self.tower.masks_padding:
            return {"attention_mask": hide_padding(self.model, features, mask)}
        return {}  # the rest of the window is silence, on which it was trained

    def _lengths(self, mask: Tensor | None, output: Any) -> list[int]:
        """Number of valid output frames of each utterance; ValueError if they cannot be told."""
        if getattr(output, "attention_mask", None) is not None:
            return output.attention_mask.sum(-1).tolist()
        rows, most = output.last_hidden_state.shape[:2]
        if self.keeps_window:
            return [most] * rows
        if rows == 1 and (mask is None or bool(mask.all())):
            return [most]
        if mask is None:
            raise ValueError("its feature extractor does not say what is padding")
        valid, full = mask.sum(-1), mask.shape[1]
        for name in ("_get_feat_extract_output_lengths", "_get_subsampling_output_length"):
            if not hasattr(self.model, name):
                continue
            lengths_after = getattr(self.model, name)
            # Some give the lengths after each of several steps. The last step that was taken is
            # the one whose full length is that of the output.
            of_full, of_valid = _steps(lengths_after(valid.new_tensor([full]))), None
            for step, length in enumerate(of_full):
                if int(length) == most:
                    of_valid = _steps(lengths_after(valid))[step]
            if of_valid is not None:
                return of_valid.clamp(max=most).tolist()
        if full == most:
            return valid.tolist()
        raise ValueError("it does not say how many of its frames are padding")

    def _padding_stays_out(self) -> bool:
        """Whether utterances' frames are the same with and without a longer one beside them.

        Raises:
            ConfigError: the encoder cannot encode one utterance, or float16 cannot hold its frames.
        """
        rng = np.random.default_rng(0)
        waves = [rng.normal(0, 0.1, length).astype(np.float32) for length in TRIED]
        with torch.inference_mode():
            try:
                alone = [self._encode_batch(waves[:1])[0]]
            except (TypeError, RuntimeError, ValueError, AttributeError) as error:
                raise ConfigError(
                    f"model.encoder: {self.name} cannot be run as an encoder: {error}",
                    "name another encoder",
                ) from error
            if not difference(alone[0].to(torch.float16), alone[0]) < ROUNDING[torch.float16]:
                raise ConfigError(
                    f"model.encoder: frames of {self.name} are up to {alone[0].abs().max():.1g}, "
                    "which float16, in which they are kept, cannot hold",
                    "name another encoder",
                )
            if self.window_samples and not self.cut:  # all windows are alike
                return True
            try:
                beside = self._encode_batch(waves)[:-1]
                alone += [self._encode_batch([wave])[0] for wave in waves[1:-1]]
            except (TypeError, RuntimeError, ValueError):
                return False
        rounding = LEAK[self.model.dtype]
        if self.device != "cpu":
            rounding = max(rounding, LEAK_ON_GPU)
        return all(
            one.shape == other.shape and bool((_parts(one, other) < rounding).all())
            for one, other in zip(alone, beside, strict=True)
        )


def _parts(found: Tensor, wanted: Tensor) -> Tensor:
    """[T] distance of frames [T, D] from those wanted, as a part of the wanted frame's norm."""
    found, wanted = found.float(), wanted.float()
    return (found - wanted).norm(dim=-1) / wanted.norm(dim=-1)


def encoder_width(name: str, trust_remote_code: bool = False) -> int:
    """Width of the encoder's frames, read from its config."""
    folder = resolve_folder(name, "model.encoder", weights=False)
    return find_tower(folder, name, trust_remote_code).width


def _side_by_side(rows: list[Tensor]) -> Tensor:
    """Batch of tensors, each padded with zeros at its end to the longest."""
    longest = max(row.shape[-1] for row in rows)
    return torch.cat([functional.pad(row, (0, longest - row.shape[-1])) for row in rows])


def _steps(lengths: Any) -> list[Tensor]:
    return list(lengths) if isinstance(lengths, tuple) else [lengths]
