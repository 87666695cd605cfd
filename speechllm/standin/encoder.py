"""Stand-in for a pretrained speech encoder: a small conformer.

It is trained with CTC on phones (Graves et al. 2006). The architecture is Wav2Vec2-BERT, whose
feature extractor stacks filter bank frames; with a stride of 4 the encoder runs at 25 Hz.
"""

import hashlib
import logging
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import jiwer
import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForCTC,
    Wav2Vec2PhonemeCTCTokenizer,
)

from speechllm.config import TrainConfig
from speechllm.data.dirs.kaldi import DataDir, first_ids, read_table
from speechllm.data.speech.audio import load_audio
from speechllm.data.speech.audio_error import LEAST_SECONDS
from speechllm.errors import DataError
from speechllm.files.progress import track
from speechllm.files.whole import write_json
from speechllm.model.encoder.fbank import without_frame_loop
from speechllm.standin.loop import is_done, new_folder, seed_everything, train

log = logging.getLogger(__name__)

MELS = 80
BLANK, UNKNOWN = "<pad>", "<unk>"
MASKED_FRAMES = 5  # length of a SpecAugment mask; no shorter utterance can be masked


@dataclass(frozen=True)
class EncoderOptions:
    """Sizes and training of the stand-in encoder.

    Attributes:
        stride: number of filter bank frames (10 ms) stacked to one input frame.
        batch_frames: budget of a batch: utterances x longest, in input frames.
    """

    width: int = 144
    layers: int = 4
    heads: int = 4
    kernel: int = 9
    stride: int = 4
    steps: int = 650
    batch_frames: int = 2048
    lr: float = 2e-3
    muon_lr: float = 0.02
    seed: int = 42


@dataclass(frozen=True)
class PhoneUtterance:
    """One utterance: input frames [T, stride * 80] in float16, and its phones."""

    utt_id: str
    frames: np.ndarray
    phones: list[str]

    @property
    def fits(self) -> bool:
        """Whether CTC can align the phones (with blanks between equal ones) and a mask fits."""
        needed = len(self.phones) + sum(a == b for a, b in pairwise(self.phones))
        return len(self.frames) >= max(needed, MASKED_FRAMES)


@dataclass(frozen=True)
class PhoneBatch:
    """Input frames [B, T, D], their mask [B, T], and phone ids [B, U] padded with -100."""

    frames: Tensor
    mask: Tensor
    labels: Tensor


def train_encoder(
    train_dirs: Sequence[str | Path],
    dev_dir: str | Path,
    folder: str | Path,
    options: EncoderOptions | None = None,
) -> None:
    """Train the encoder and save it in `folder`, unless it is complete.

    `folder` is an ordinary transformers folder: AutoModel loads the encoder, AutoModelForCTC the
    encoder with its phone classifier, AutoFeatureExtractor its feature extractor, AutoTokenizer its
    phones. `standin.json` in it records settings, data and the phone error rate on dev.

    Args:
        train_dirs: data dirs with audio and a file `phones` (`utt p1 p2 ...`).
        dev_dir: such a data dir, for the phone error rate.
        folder: the folder to write.
        options: sizes and training; the defaults if None.

    Raises:
        DataError: audio cannot be read, utterances have no phones, or all are too short for theirs.
        ConfigError: `folder` was made with other settings or other data, or is no stand-in.
    """
    folder, options = Path(folder), options or EncoderOptions()
    dirs = [DataDir.load(path) for path in train_dirs]
    dev = DataDir.load(dev_dir)
    phones = {d.path: _read_phones(d) for d in [*dirs, dev]}
    settings = {**asdict(options), "data": {d.name: _digest(phones[d.path]) for d in [*dirs, dev]}}
    if is_done(folder, settings):
        log.info("%s is complete", folder)
        return
    with new_folder(folder, settings) as (temporary, record):
        seed_everything(options.seed)
        tokenizer = _tokenizer([p for d in dirs for p in phones[d.path].values()], temporary)
        extractor = SeamlessM4TFeatureExtractor(feature_size=MELS, stride=options.stride)
        utterances = [u for d in dirs for u in _extract(d, phones[d.path], extractor)]
        usable = [u for u in utterances if u.fits]
        if len(usable) < len(utterances):
            short = [u.utt_id for u in utterances if not u.fits]
            log.warning("too short for their phones, not used: %s", first_ids(short))
        if not usable:
            raise DataError("no utterance is long enough for its phones", dirs[0].path)
        model = Wav2Vec2BertForCTC(_config(options, len(tokenizer)))
        losses = train(
            "stand-in encoder",
            model,
            _batches(usable, tokenizer, options),
            lambda b: model(b.frames, attention_mask=b.mask, labels=b.labels).loss / len(b.labels),
            # At 200 steps Muon had 16 % phone errors where AdamW alone had 95 %.
            TrainConfig(
                steps=options.steps,
                lr=options.lr,
                muon_lr=options.muon_lr,
                warmup_steps=options.steps // 10 + 1,
                schedule="cosine",
                weight_decay=0.01,
            ),
        )
        record |= {
            "utterances": len(usable),
            "too_short": len(utterances) - len(usable),
            "hours": round(sum(len(u.frames) for u in usable) * options.stride / 360_000, 2),
            "parameters": model.num_parameters(),
            "last_loss": sum(losses[-20:]) / len(losses[-20:]),
            "phone_error_rate": {
                dev.name: phone_error_rate(
                    model, tokenizer, _extract(dev, phones[dev.path], extractor)
                )
            },
        }
        model.save_pretrained(temporary)
        extractor.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    log.info("%s: phone error rate %s", folder, record["phone_error_rate"])


def _read_phones(data: DataDir) -> dict[str, list[str]]:
    if not data.has_audio:
        raise DataError("the set has no audio", data.path / "wav.scp")
    table = read_table(data.path / "phones")
    missing = [utt for utt in data.ids if not table.get(utt)]
    if missing:
        message = f"utterances without phones: {first_ids(missing)}"
        raise DataError(message, data.path / "phones")
    return {utt: table[utt].split() for utt in data.ids}


def _digest(phones: Mapping[str, list[str]]) -> str:
    lines = (f"{utt} {' '.join(spoken)}\n" for utt, spoken in phones.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _tokenizer(transcripts: Sequence[Sequence[str]], folder: Path) -> Wav2Vec2PhonemeCTCTokenizer:
    inventory = sorted({phone for spoken in transcripts for phone in spoken})
    vocab = {token: i for i, token in enumerate([BLANK, UNKNOWN, *inventory])}
    write_json(folder / "vocab.json", vocab)
    return Wav2Vec2PhonemeCTCTokenizer(
        str(folder / "vocab.json"),
        bos_token=None,
        eos_token=None,
        unk_token=UNKNOWN,
        pad_token=BLANK,
        phone_delimiter_token=" ",
        do_phonemize=False,
    )


def _config(options: EncoderOptions, vocab_size: int) -> Wav2Vec2BertConfig:
    return Wav2Vec2BertConfig(
        vocab_size=vocab_size,
        hidden_size=options.width,
        num_hidden_layers=options.layers,
        num_attention_heads=options.heads,
        intermediate_size=4 * options.width,
        feature_projection_input_dim=options.stride * MELS,
        conv_depthwise_kernel_size=options.kernel,
        position_embeddings_type="relative_key",
        left_max_position_embeddings=16,
        right_max_position_embeddings=16,
        hidden_dropout=0.0,
        conformer_conv_dropout=0.0,
        final_dropout=0.0,
        layerdrop=0.0,
        mask_time_prob=0.05,
        mask_time_length=MASKED_FRAMES,
        mask_time_min_masks=1,
        ctc_loss_reduction="sum",
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=None,
    )


def _extract(
    data: DataDir, phones: Mapping[str, list[str]], extractor: SeamlessM4TFeatureExtractor
) -> list[PhoneUtterance]:
    """Compute filter bank features of every utterance, on all cores."""
    extractor = without_frame_loop(extractor)

    def one(utt: str) -> PhoneUtterance:
        samples = load_audio(data.audio[utt], extractor.sampling_rate)
        if len(samples) < LEAST_SECONDS * extractor.sampling_rate:  # too short for a frame
            width = extractor.feature_size * extractor.stride
            return PhoneUtterance(utt, np.zeros((0, width), np.float16), phones[utt])
        frames = extractor(
            samples,
            sampling_rate=extractor.sampling_rate,
            # By default, the batch decides whether an utterance's last frame is kept or cut.
            pad_to_multiple_of=extractor.stride,
            return_tensors="np",
        )
        kept = frames.attention_mask[0].astype(bool)
        return PhoneUtterance(utt, frames.input_features[0][kept].astype(np.float16), phones[utt])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(one, data.ids)
        return list(track(made, f"filter bank of {data.name}", len(data.ids)))


def _collate(
    utterances: Sequence[PhoneUtterance], tokenizer: Wav2Vec2PhonemeCTCTokenizer
) -> PhoneBatch:
    frames = [torch.from_numpy(u.frames).float() for u in utterances]
    labels = [torch.tensor(tokenizer.convert_tokens_to_ids(u.phones)) for u in utterances]
    return PhoneBatch(
        pad_sequence(frames, batch_first=True),
        pad_sequence([torch.ones(len(f), dtype=torch.long) for f in frames], batch_first=True),
        pad_sequence(labels, batch_first=True, padding_value=-100),
    )


def _cut(utterances: Sequence[PhoneUtterance], budget: int) -> list[list[PhoneUtterance]]:
    """Cut utterances, shortest first, into batches of at most `budget` frames with padding."""
    batches: list[list[PhoneUtterance]] = []
    for utterance in sorted(utterances, key=lambda u: len(u.frames)):
        if not batches or (len(batches[-1]) + 1) * len(utterance.frames) > budget:
            batches.append([])
        batches[-1].append(utterance)
    return batches


def _batches(
    utterances: Sequence[PhoneUtterance],
    tokenizer: Wav2Vec2PhonemeCTCTokenizer,
    options: EncoderOptions,
) -> Iterator[PhoneBatch]:
    """Yield batches of utterances of similar length without end, shuffled in each epoch."""
    rng = random.Random(options.seed)
    batches = _cut(utterances, options.batch_frames)
    while True:
        rng.shuffle(batches)
        for batch in batches:
            yield _collate(batch, tokenizer)


@torch.no_grad()
def phone_error_rate(
    model: Wav2Vec2BertForCTC,
    tokenizer: Wav2Vec2PhonemeCTCTokenizer,
    utterances: Sequence[PhoneUtterance],
) -> float:
    """Phone error rate with greedy CTC decoding: substitutions, deletions, insertions per phone.

    Args:
        model: the encoder with its phone classifier.
        tokenizer: its phones.
        utterances: input frames and reference phones.
    """
    references, hypotheses = [], []
    for batch in _cut(utterances, 4096):
        inputs = _collate(batch, tokenizer)
        best = model(inputs.frames, attention_mask=inputs.mask).logits.argmax(-1)
        best[inputs.mask == 0] = tokenizer.pad_token_id
        hypotheses += tokenizer.batch_decode(best)
        references += [" ".join(u.phones) for u in batch]
    return float(jiwer.wer(references, hypotheses))
