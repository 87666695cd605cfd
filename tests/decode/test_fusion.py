"""Language models inside the search: what they add, prefix by prefix, in any batch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from speechllm.config import ModelConfig, ProjectorConfig
from speechllm.decode.config import DecodeConfig
from speechllm.decode.decoder import Decoder
from speechllm.decode.hypothesis import Hypothesis
from speechllm.decode.scorers.build import make_scorers, with_places
from speechllm.decode.scorers.lm_scorer import LMScorer
from speechllm.decode.scorers.ngram_scorer import NGramScorer, begins_word
from speechllm.decode.scorers.scorer import Prefixes, Scorer
from speechllm.errors import ConfigError
from speechllm.lm.arpa import write_arpa
from speechllm.lm.config import NetworkConfig
from speechllm.lm.kneser_ney import estimate
from speechllm.lm.network import as_network, make_module
from speechllm.lm.ngram import END
from speechllm.lm.token_lm import TokenLM
from speechllm.model.speech_llm import SpeechLLM
from speechllm.slot.collate import Example, collate
from tests.helpers.tiny import SENTENCES, make_encoder, make_llm

MakeSource = Callable[[SpeechLLM, float], Scorer]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SpeechLLM:
    work = tmp_path_factory.mktemp("model")
    config = ModelConfig(
        encoder=str(make_encoder(work / "encoder")),
        llm=str(make_llm(work / "llm")),
        projector=ProjectorConfig(downsampling=2, hidden=16),
    )
    write_arpa(work / "x.arpa", estimate([["a", "word"]], 1))
    torch.manual_seed(0)
    model = SpeechLLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def token_lm(model: SpeechLLM, kind: str, size: int | None = None) -> TokenLM:
    """A random network, sharpened."""
    torch.manual_seed(1)
    config = NetworkConfig(kind=kind, width=16, heads=2, train={"steps": 1})
    module = make_module(config, size or len(model.tokenizer)).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2)
    return TokenLM(as_network(module), [model.prompt.bos], model.prompt.eos, "cpu")


def network(kind: str) -> MakeSource:
    def make(model: SpeechLLM, weight: float) -> Scorer:
        return LMScorer("lm", token_lm(model, kind), weight, [model.prompt.eos])

    return make


def ngram(model: SpeechLLM, weight: float) -> Scorer:
    known = estimate([s.split() for s in SENTENCES], 3)
    return NGramScorer("lm", known, weight, model.tokenizer, [model.prompt.eos])


def prior(slot: str) -> MakeSource:
    def make(model: SpeechLLM, weight: float) -> Scorer:
        arpa = str(Path(model.config.llm).with_name("x.arpa"))
        fusion = {"kind": "ilm", "lm": arpa, "slot": slot, "weight": 0, "prior_weight": weight}
        return make_scorers(DecodeConfig(fusion=fusion), model)["fusion"][1]

    return make


SOURCES: dict[str, MakeSource] = {
    "lstm": network("lstm"),
    "transformer": network("transformer"),
    "ngram": ngram,
    "empty slot": prior("empty"),
    "no prompt": prior("no_prompt"),
}


def examples() -> list[Example]:
    rng = np.random.default_rng(0)
    return [
        Example(f"utt{i}", "audio", rng.normal(0, 3, (n, 16)).astype(np.float16))
        for i, n in enumerate((7, 50, 23, 31))
    ]


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("beam", [1, 4])
def test_no_batch_changes_a_hypothesis(model: SpeechLLM, name: str, beam: int) -> None:
    config = DecodeConfig(beam=beam, max_tokens_per_second=8)
    weight = -9.0 if name == "ngram" else 0.4  # no word of the random model is a known one
    decoder = Decoder(model, config, [SOURCES[name](model, weight)])
    rows = examples()

    def texts(part: list[Example]) -> list[str]:
        return [d.best.text for d in decoder.decode(part, [len(e.slot) / 25 for e in part])]

    together = texts(rows)
    assert together == [text for row in rows for text in texts([row])]
    assert together == texts(rows[:2]) + texts(rows[2:])
    plain = Decoder(model, config).decode(rows, [len(e.slot) / 25 for e in rows])
    assert together != [d.best.text for d in plain], "the source must change something"


@pytest.mark.parametrize("name", SOURCES)
def test_what_the_search_adds_up_is_what_whole_sentences_are_given(
    model: SpeechLLM, name: str
) -> None:
    """The LLM's part, found by subtraction, is what teacher forcing says."""
    config = DecodeConfig(beam=4, nbest=4, max_tokens_per_second=8)
    decoder = Decoder(model, config, [SOURCES[name](model, 0.4)])
    rows = examples()
    found = decoder.decode(rows, [len(e.slot) / 25 for e in rows])
    for row, utterance in zip(rows, found, strict=True):
        for candidate in utterance.nbest:
            assert candidate.scores["llm"] == pytest.approx(
                forced(model, row, candidate.hypothesis), abs=2e-3
            )


def forced(model: SpeechLLM, row: Example, hypothesis: Hypothesis) -> float:
    example = Example("u", "audio", row.slot, hypothesis.ids)
    with torch.no_grad():
        batch = collate([example], model.prompt, model.projector.output_length)
        logits, wanted = model.label_logits(batch)
    steps = -torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
    return float(steps[:-1].sum() if hypothesis.truncated else steps.sum())


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_a_state_found_by_its_prefix_is_that_of_reading_from_the_start(
    model: SpeechLLM, kind: str
) -> None:
    """Rows change places and one dies out, as in a beam."""
    lm = token_lm(model, kind)
    source = LMScorer("lm", lm, 1.0, [model.prompt.eos])
    steps = [[(), (), ()], [(5,), (9,), (7,)], [(9, 4), (9, 5), (7, 4)], [(7, 4, 4), (9, 5, 6)]]
    for prefixes in steps:
        ids = torch.tensor(prefixes).long().reshape(len(prefixes), -1)
        given = source(ids, torch.zeros(len(ids), len(model.tokenizer)), [0] * len(ids))
        for prefix, row in zip(prefixes, given, strict=True):
            read = torch.tensor([[*lm.begin, *prefix]])
            with torch.no_grad():
                alone = lm.network.advance(read)[0][0, -1].log_softmax(-1)
            assert torch.allclose(row, alone, atol=1e-4)


def test_equal_prefixes_are_one() -> None:
    prefixes = Prefixes()
    assert prefixes.step(torch.zeros(4, 0, dtype=torch.long)) == ([0], [], [0, 0, 0, 0])
    assert prefixes.step(torch.tensor([[3], [3], [5], [3]])) == ([0, 2], [0, 0], [0, 0, 1, 0])
    step = prefixes.step(torch.tensor([[5, 1], [3, 1], [5, 2], [3, 1]]))
    assert step == ([0, 1, 2], [1, 0, 1], [0, 1, 2, 1])


def test_every_end_has_the_lms_own_and_rows_of_no_token_have_none(model: SpeechLLM) -> None:
    size, lm = len(model.tokenizer), token_lm(model, "lstm")
    source = LMScorer("lm", lm, 0.5, [model.prompt.eos, 7])
    given = source(torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, size + 3), [0])[0]
    own = lm.first()[0][0]
    assert given[model.prompt.eos] == given[7] == pytest.approx(0.5 * float(own[model.prompt.eos]))
    assert given[6] == pytest.approx(0.5 * float(own[6]))
    assert (given[size:] == -50).all()


def test_an_lm_with_more_rows_than_the_recogniser_is_cut(model: SpeechLLM) -> None:
    size = len(model.tokenizer)
    source = LMScorer("lm", token_lm(model, "lstm", size + 5), 1.0, [model.prompt.eos])
    assert source(torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, size), [0]).shape == (1, size)


class Metaspace:
    """SentencePiece's way of writing blanks, in a vocabulary of a few pieces."""

    pieces = ("</s>", "\u2581the", "\u2581co", "w", "\u2581gra", "ss", "\u2581", "cow")

    def get_vocab(self) -> dict[str, int]:
        return {piece: number for number, piece in enumerate(self.pieces)}

    def decode(self, ids: tuple[int, ...], skip_special_tokens: bool) -> str:
        return "".join(self.pieces[i] for i in ids if i).replace("\u2581", " ").strip()


class ByteLevel(Metaspace):
    """The same in GPT-2's way; the first word has no blank."""

    pieces = ("</s>", "the", "\u0120co", "w", "\u0120gra", "ss", "\u0120", "cow")

    def decode(self, ids: tuple[int, ...], skip_special_tokens: bool) -> str:
        return "".join(self.pieces[i] for i in ids if i).replace("\u0120", " ")


@pytest.mark.parametrize("tokenizer", [Metaspace(), ByteLevel()])
def test_a_word_is_scored_when_the_next_one_begins_or_at_the_end(tokenizer: Metaspace) -> None:
    known = estimate([["the", "cow"], ["the", "grass"], ["the", "cow"], ["cow"]], 2)
    source = NGramScorer("lm", known, 1.0, tokenizer, [0])
    logp, ahead = known.log_prob, known.prefix_log_prob
    co, w, gra, ss = 2, 3, 4, 5

    def given(*ids: int) -> list[float]:
        return source(torch.tensor([ids]).long().reshape(1, -1), torch.zeros(1, 8), [0])[0].tolist()

    begin = ("<s>",)
    first = given()
    assert first[1] == first[co] == 0  # no word is over
    assert first[0] == pytest.approx(logp(begin, END))
    the = given(1)
    assert the[co] == pytest.approx(logp(begin, "the"))
    assert the[w] == pytest.approx(ahead(begin, "the"))
    assert the[0] == pytest.approx(logp(begin, "the") + logp(("the",), END))
    inside = given(1, co)
    assert inside[w] == pytest.approx(ahead(("the",), "co"))
    assert inside[gra] == pytest.approx(logp(("the",), "co"))  # no word: that of unknown ones
    cow = given(1, co, w)
    assert cow[gra] == pytest.approx(logp(("the",), "cow") - ahead(("the",), "co"))
    assert cow[ss] == pytest.approx(ahead(("the",), "cow") - ahead(("the",), "co"))
    wrong = given(1, co, w, ss)  # a word that goes on for ever has paid for it already
    assert wrong[w] == pytest.approx(logp(("the",), "cowss") - ahead(("the",), "cow"))
    ended = Hypothesis("u", "the cow grass", (1, co, w, gra, ss), truncated=False)
    assert source.score([ended])[0] == pytest.approx(known.score(["the", "cow", "grass"]))


def test_tokens_that_begin_words(model: SpeechLLM) -> None:
    begins = begins_word(model.tokenizer)
    vocabulary = model.tokenizer.get_vocab()
    for text, expected in ((" the cow", True), ("the cow", False)):
        first = model.tokenizer(text, add_special_tokens=False).input_ids[0]
        assert bool(begins[first]) == expected
    assert len(begins) == len(vocabulary)


def test_target_and_exp_stand_for_what_the_command_line_says() -> None:
    values = {
        "beam": 4,
        "fusion": {"lm": "{exp}/lm/lstm_{target}", "kind": "shallow"},
        "x": ["{a}"],
    }
    assert with_places(values, {"target": "music", "exp": "quick/exp"}) == {
        "beam": 4,
        "fusion": {"lm": "quick/exp/lm/lstm_music", "kind": "shallow"},
        "x": ["{a}"],
    }
    with pytest.raises(ConfigError, match="--target"):
        with_places(values, {"target": None, "exp": "exp"})
    assert with_places({"beam": 4}, {"target": None}) == {"beam": 4}


def test_rescoring_chooses_by_the_sum_and_lists_its_parts(model: SpeechLLM) -> None:
    rescore = {"kind": "prompt", "prompt": "about cows: ", "weight": 2.0}
    config = DecodeConfig(beam=4, nbest=4, max_tokens_per_second=8, rescore=rescore)
    own = LMScorer("rescore", token_lm(model, "lstm"), 2.0, [model.prompt.eos])
    rows = examples()
    seconds = [len(e.slot) / 25 for e in rows]
    first_pass = [d.best.text for d in Decoder(model, config).decode(rows, seconds)]
    for decoder in (Decoder.load(model, config), Decoder(model, config, (), [own])):
        found = decoder.decode(rows, seconds)
        assert [d.best.text for d in found] != first_pass
        for utterance in found:
            ranks = [c.score / c.hypothesis.length for c in utterance.nbest]
            assert ranks == sorted(ranks, reverse=True)
            for c in utterance.nbest:
                assert c.score == pytest.approx(c.scores["llm"] + 2 * c.scores["rescore"])


def test_a_prompted_llm_scores_the_hypothesis_behind_the_prompt_and_no_end(
    model: SpeechLLM,
) -> None:
    rescore = {"kind": "prompt", "prompt": "about cows: ", "weight": 1.0}
    made = make_scorers(DecodeConfig(nbest=2, rescore=rescore), model)["rescore"][0]
    ids = tuple(model.tokenizer("open the gate", add_special_tokens=False).input_ids)
    prompt = model.tokenizer("about cows: ", add_special_tokens=False).input_ids
    row = torch.tensor([[model.prompt.bos, *prompt, *ids]])
    with torch.no_grad():
        steps = model.llm(input_ids=row).logits[0, :-1].log_softmax(-1)
    wanted = steps.gather(1, row[0, 1:, None])[len(prompt) :].sum()
    found = made.score([Hypothesis("u", "open the gate", ids, truncated=False)])[0]
    assert found == pytest.approx(float(wanted), abs=1e-3)


def test_density_ratio_and_ilm_take_their_prior_away(model: SpeechLLM, tmp_path: Path) -> None:
    write_arpa(tmp_path / "t.arpa", estimate([s.split() for s in SENTENCES], 2))
    write_arpa(tmp_path / "s.arpa", estimate([["a", "source"]], 2))
    target, source = str(tmp_path / "t.arpa"), str(tmp_path / "s.arpa")
    both = {"lm": target, "weight": 0.3, "prior_weight": 0.2}
    for fusion in (both | {"kind": "density_ratio", "source_lm": source}, both | {"kind": "ilm"}):
        sources = make_scorers(DecodeConfig(fusion=fusion), model)["fusion"]
        assert [(s.name, s.weight) for s in sources] == [("lm", 0.3), ("prior", -0.2)]
