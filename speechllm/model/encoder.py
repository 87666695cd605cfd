"""The frozen speech encoder: waves in, frames out."""

from typing import Any

import numpy as np
import torch

from speechllm.errors import ConfigError
from speechllm.model.fbank import without_frame_loop
from speechllm.pretrained import resolve_folder

SAMPLE_RATE = 16000


class Encoder:
    """A speech encoder of transformers with its own feature extractor, never trained here.

    Everything about it (normalisation, frame rate, width) comes from the model's folder.
    """

    def __init__(self, name: str, device: str = "cpu", trust_remote_code: bool = False):
        from transformers import AutoFeatureExtractor, AutoModel, SeamlessM4TFeatureExtractor

        folder = resolve_folder(name, "model.encoder")
        options = {"trust_remote_code": trust_remote_code}
        try:
            self.extractor = AutoFeatureExtractor.from_pretrained(folder, **options)
            model = AutoModel.from_pretrained(folder, **options)
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(f"model.encoder: {name} cannot be loaded: {error}") from error
        if self.extractor.sampling_rate != SAMPLE_RATE:
            raise ConfigError(f"model.encoder: {name} does not take {SAMPLE_RATE} Hz audio")
        if model.config.is_encoder_decoder:
            model = model.get_encoder()
        self.model = model.eval().requires_grad_(False).to(device)
        self.device = device
        if isinstance(self.extractor, SeamlessM4TFeatureExtractor):
            self.extractor = without_frame_loop(self.extractor)
        # An extractor that stacks frames keeps or cuts an utterance's last, incomplete stack
        # depending on its neighbours in the batch, unless it pads to whole stacks.
        stride = getattr(self.extractor, "stride", None)
        self._stacking = {"pad_to_multiple_of": stride} if stride else {}

    @torch.inference_mode()
    def encode(self, waves: list[np.ndarray]) -> list[np.ndarray]:
        """Encode utterances in one padded batch.

        Args:
            waves: mono float32 samples at 16 kHz, one array for each utterance.

        Returns:
            The last layer's output as float16 [T, D] for each utterance, padding removed.
        """
        inputs = self.extractor(
            waves,
            sampling_rate=SAMPLE_RATE,
            padding=True,
            return_attention_mask=True,
            return_tensors="pt",
            **self._stacking,
        )
        hidden = self.model(**inputs.to(self.device)).last_hidden_state
        lengths = self._lengths(inputs, hidden.shape[1])
        return [
            frames[:length].to(torch.float16).cpu().numpy()
            for frames, length in zip(hidden, lengths, strict=True)
        ]

    def _lengths(self, inputs: Any, most: int) -> list[int]:
        """Valid output frames of each utterance."""
        valid = inputs["attention_mask"].sum(-1)
        if hasattr(self.model, "_get_feat_extract_output_lengths"):
            valid = self.model._get_feat_extract_output_lengths(valid)
        return valid.clamp(max=most).tolist()


def encoder_width(name: str, trust_remote_code: bool = False) -> int:
    """Width of the encoder's frames, read from its config."""
    from transformers import AutoConfig

    folder = resolve_folder(name, "model.encoder")
    return AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code).hidden_size
