"""Encoders of every architecture: exact frames, whatever else is in the batch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from speechllm.data.speech.audio_error import WaveError
from speechllm.data.speech.threads import in_order
from speechllm.errors import ConfigError
from speechllm.model.encoder import encoder as encoder_module
from speechllm.model.encoder import tower as tower_module
from speechllm.model.encoder.encoder import Encoder, encoder_width
from tests.helpers.architectures import ENCODERS, WIDTH, make_bert, make_vit
from tests.helpers.tiny import make_llm

LENGTHS = (8000, 8100, 8450, 9999, 16000, 23457)
WINDOWED = ("whisper", "qwen2_audio", "voxtral")  # of two seconds, in these tests


def noise(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, n).astype(np.float32) for n in lengths]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Make an architecture's folder, once."""
    work = tmp_path_factory.mktemp("encoders")

    def make(name: str) -> str:
        if name == "granite_speech":
            pytest.importorskip("torchaudio", reason="Granite's feature extractor needs it")
        if not (work / name).is_dir():
            ENCODERS[name][0](work / name)
        return str(work / name)

    return make


@pytest.mark.parametrize("name", ENCODERS)
def test_frames_do_not_depend_on_the_batch(name: str, folder_of) -> None:
    encoder, rate = Encoder(folder_of(name)), ENCODERS[name][1]
    waves = noise(*LENGTHS)
    together = encoder.encode(waves)
    spread = float(np.std(np.concatenate(together).astype(np.float32)))
    assert spread > 0.01  # else no difference could be seen
    for wave, frames in zip(waves, together, strict=True):
        alone = encoder.encode([wave])[0]
        np.testing.assert_allclose(frames, alone, atol=2e-3 * spread, rtol=1e-3)
        assert frames.dtype == np.float16 and frames.shape[1] == WIDTH
        assert abs(len(frames) - len(wave) / 16000 * rate) <= 1
    assert encoder_width(folder_of(name)) == WIDTH


def test_on_a_cpu_no_batch_leaves_the_caches(folder_of, monkeypatch) -> None:
    """And frames are those of larger batches."""
    encoder = Encoder(folder_of("hubert"))
    waves = noise(*[16000] * 20)
    sizes = []
    real = encoder._encode_batch
    monkeypatch.setattr(encoder, "_encode_batch", lambda b: sizes.append(len(b)) or real(b))
    few = encoder.encode(waves)
    assert sizes == [16, 4]
    monkeypatch.setattr(encoder_module, "AT_ONCE_ON_CPU", 60 * 16000)
    for one, other in zip(few, encoder.encode(waves), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)
    assert sizes == [16, 4, 20]


@pytest.mark.parametrize(("name", "window"), [("hubert", "padded"), ("whisper", "cut")])
def test_threads_do_not_disturb_each_other(name: str, window: str, folder_of) -> None:
    encoder = Encoder(folder_of(name), window=window)
    batches = [noise(8000 + 1600 * n, 16000) for n in range(8)]
    alone = [encoder.encode(batch) for batch in batches]
    for wanted, found in zip(alone, in_order(encoder.encode, batches, 4), strict=True):
        for one, other in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_least_that_an_encoder_takes(name: str, folder_of) -> None:
    encoder = Encoder(folder_of(name))
    least = encoder.least_samples
    assert least == Encoder.sketch(folder_of(name)).least_samples <= 3200
    (frames,) = encoder.encode(noise(least))
    assert len(frames) and np.isfinite(frames).all()
    for wave in ([], noise(least - 1)) if least > 1 else ([],):
        with pytest.raises(WaveError) as caught:
            encoder.encode([*noise(8000), *(wave or [np.zeros(0, np.float32)])])
        assert (caught.value.position, caught.value.least_seconds) == (1, least / 16000)


@pytest.mark.parametrize(
    "name", ["wavlm_base", "wav2vec2_base", "qwen3_asr", "wav2vec2_conformer", "sew"]
)
def test_where_padding_leaks_in_utterances_go_one_by_one(name: str, folder_of) -> None:
    """The base models normalise over time, and were trained without a mask. Conformer forgets the
    mask after its first layer, and SEW squeezes frame pairs, of which the last can be broken.
    """
    assert not Encoder(folder_of(name)).batches


@pytest.mark.parametrize("name", ["wavlm_large", "hubert", "wav2vec2_bert", "parakeet", "whisper"])
def test_where_it_does_not_they_share_a_batch(name: str, folder_of) -> None:
    assert Encoder(folder_of(name)).batches


@pytest.mark.parametrize("name", ENCODERS)
def test_a_sketch_has_as_many_frames_without_any_weights(name: str, folder_of, monkeypatch) -> None:
    folder = folder_of(name)
    expected = [frames.shape for frames in Encoder(folder).encode(noise(*LENGTHS))]
    monkeypatch.setattr("speechllm.model.encoder.encoder.load_tower", None)  # nothing is loaded
    assert [f.shape for f in Encoder.sketch(folder).encode(noise(*LENGTHS))] == expected


@pytest.mark.parametrize(
    "name", ["whisper", "parakeet", "qwen2_audio", "qwen3_asr", "voxtral", "granite_speech"]
)
def test_of_a_larger_model_the_encoder_s_tensors_alone_are_read(
    name: str, folder_of, monkeypatch
) -> None:
    from transformers import AutoModel

    read: list[str] = []
    real = tower_module.read_tensors

    def spy(*args):
        tensors = real(*args)
        read.extend(tensors)
        return tensors

    monkeypatch.setattr(tower_module, "read_tensors", spy)
    encoder = Encoder(folder_of(name))
    whole = AutoModel.from_pretrained(folder_of(name))
    part = whole.get_submodule(encoder.tower.path).state_dict()
    assert set(read) == set(part) and len(part) < len(whole.state_dict())
    for key, tensor in encoder.model.state_dict().items():
        assert torch.equal(tensor, part[key]), key


def test_a_sharded_model_is_read_from_the_files_that_hold_the_tower(folder_of, tmp_path) -> None:
    from transformers import AutoModel, VoxtralForConditionalGeneration

    model = VoxtralForConditionalGeneration.from_pretrained(folder_of("voxtral"))
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    part = AutoModel.from_pretrained(folder_of("voxtral")).audio_tower.state_dict()
    tensors = tower_module.read_tensors(tmp_path, part)
    assert tensors and all(torch.equal(tensors[key], part[key]) for key in part)


def test_qwen2_audio_hides_padding_as_the_whole_model_does(folder_of) -> None:
    """The slot's embeddings of Qwen2-Audio itself = its projector on our frames."""
    from transformers import AutoModel

    folder = folder_of("qwen2_audio")
    whole = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    encoder = Encoder(folder)
    wave = noise(23457)
    inputs = encoder.extractor(
        wave, sampling_rate=16000, return_attention_mask=True, return_tensors="pt"
    )
    frames = torch.from_numpy(encoder.encode(wave)[0]).float()
    seen = []
    whole.language_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    token = whole.config.audio_token_id
    with torch.no_grad():
        whole(
            input_ids=torch.full((1, len(frames)), token),
            attention_mask=torch.ones(1, len(frames)),
            input_features=inputs.input_features,
            feature_attention_mask=inputs.attention_mask,
        )
        expected = whole.multi_modal_projector(frames)
    torch.testing.assert_close(seen[0][0], expected, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("name", WINDOWED)
@pytest.mark.parametrize("window", ["padded", "cut"])
def test_a_long_utterance_is_heard_window_by_window(name: str, window: str, folder_of) -> None:
    encoder = Encoder(folder_of(name), window=window)
    wave = noise(80000)[0]  # five seconds
    pieces = encoder.encode([wave[:32000], wave[32000:64000], wave[64000:]])
    np.testing.assert_allclose(encoder.encode([wave])[0], np.concatenate(pieces), atol=2e-3)
    assert len(np.concatenate(pieces)) == 5 * ENCODERS[name][1]


@pytest.mark.parametrize("name", WINDOWED)
def test_cut_and_padded_agree_on_a_full_window_alone(name: str, folder_of) -> None:
    padded, cut = (Encoder(folder_of(name), window=w) for w in ("padded", "cut"))
    full, short = noise(32000, 12345)
    np.testing.assert_allclose(cut.encode([full])[0], padded.encode([full])[0], atol=2e-3)
    frames = [encoder.encode([short])[0] for encoder in (cut, padded)]
    assert frames[0].shape == frames[1].shape
    if name != "qwen2_audio":  # which does not hear the padding anyway
        assert np.abs(frames[0] - frames[1]).max() > 0.01
    assert cut.model.config.max_source_positions == 100  # as before


def test_cutting_what_has_no_window_names_the_key(folder_of) -> None:
    with pytest.raises(ConfigError, match=r"model\.encoder_window"):
        Encoder(folder_of("hubert"), window="cut")


@pytest.mark.parametrize("name", ["hubert", "wav2vec2_bert", "whisper", "parakeet"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_near_or_refused(name: str, dtype: str, folder_of) -> None:
    wave = noise(16000)
    full = Encoder(folder_of(name)).encode(wave)[0].astype(np.float32)
    try:
        half = Encoder(folder_of(name), dtype=dtype).encode(wave)[0].astype(np.float32)
    except ConfigError as error:  # oneDNN computes its convolution wrongly there
        assert "Conv1d" in error.message and torch.cpu.get_capabilities().get("amx_bf16")
        return
    difference = np.abs(full - half).max()
    assert 0 < difference < 0.2 * full.std()


@pytest.mark.parametrize("native", [True, False])
def test_auto_is_bfloat16_where_that_is_native(native: bool, folder_of, monkeypatch) -> None:
    said = "speechllm.model.compute.precision.multiplies_bfloat16"
    monkeypatch.setattr(said, lambda device: native)
    auto = Encoder(folder_of("whisper"), dtype="auto")
    assert auto.model.dtype == (torch.bfloat16 if native else torch.float32)


def test_half_precision_that_is_computed_wrongly_is_refused(folder_of, monkeypatch) -> None:
    """As oneDNN does on CPUs with AMX: a grouped convolution in bfloat16."""
    right = torch.nn.functional.conv1d

    def wrong(x, weight, *args):
        out = right(x, weight, *args)
        return out.flip(1) if weight.dtype == torch.bfloat16 and args[-1] > 1 else out

    monkeypatch.setattr(torch.nn.functional, "conv1d", wrong)
    Encoder(folder_of("hubert"))
    Encoder(folder_of("hubert"), dtype="float16")
    Encoder(folder_of("whisper"), dtype="bfloat16")  # none of its convolutions is grouped
    with pytest.raises(ConfigError, match=r"Conv1d .*bfloat16.* differs from float32 by \d\d+%"):
        Encoder(folder_of("hubert"), dtype="bfloat16")


@pytest.mark.parametrize("scale", [1e6, 1e-9])
def test_frames_that_float16_cannot_hold_are_refused(scale: float, folder_of, monkeypatch) -> None:
    real = Encoder._encode_batch
    monkeypatch.setattr(
        Encoder, "_encode_batch", lambda self, waves: [scale * f for f in real(self, waves)]
    )
    with pytest.raises(ConfigError, match="float16, in which they are kept"):
        Encoder(folder_of("hubert"))


@pytest.mark.parametrize(("make", "what"), [(make_llm, "Llama"), (make_bert, "Bert")])
def test_a_text_model_is_no_encoder(make, what: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"model\.encoder: .*{what}Model takes text"):
        Encoder(str(make(tmp_path / "text")))


def test_a_vision_model_is_no_encoder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.encoder: .*takes image"):
        Encoder(str(make_vit(tmp_path / "vit")))


def test_lost_weights_are_named(folder_of, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(folder_of("hubert"), tmp_path / "hubert")
    path = tmp_path / "hubert/model.safetensors"
    tensors = load_file(path)
    lost = next(key for key in tensors if key.endswith("q_proj.weight"))
    del tensors[lost]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=f"lack 1 tensors of the encoder: {lost}"):
        Encoder(str(tmp_path / "hubert"))


def test_an_extractor_s_package_is_named(folder_of, tmp_path: Path, monkeypatch) -> None:
    from tests.helpers.speech_llms import make_granite_speech

    if __import__("importlib").util.find_spec("torchaudio"):
        pytest.skip("torchaudio is here")
    with pytest.raises(ConfigError, match=r"(?s)model\.encoder.*pip install torchaudio"):
        Encoder(str(make_granite_speech(tmp_path / "granite")))
