import json
import time

import pytest

from speechllm.data.dirs.bias_lists import BiasLists
from speechllm.score.count.wer import score_texts
from speechllm.score.count.word_classes import (
    BIASED,
    FREQUENCIES,
    UNBIASED,
    count_biased,
    count_by_frequency,
)
from speechllm.score.normalize.normalize import normalizer
from speechllm.score.rates import Rates


def biased(said, heard, lists: BiasLists, normalizer="plain") -> tuple[list[int], list[int]]:
    """Hits, substitutions, deletions, insertions of biased and of other words."""
    tables = count_biased(score_texts(said, heard, normalizer), lists)
    return tables[BIASED].sum(axis=0).tolist(), tables[UNBIASED].sum(axis=0).tolist()


def real_lists(shared_data, column: int) -> tuple[dict[str, str], BiasLists]:
    """Transcripts and lists of the fbai release: column 2 holds rare words, 3 distractors too."""
    said, own = {}, {}
    for name in ("test-clean", "test-other"):
        file = shared_data / f"librispeech_sample/biasing/{name}.biasing_100.tsv"
        for line in file.read_text().splitlines():
            utt, text, *lists = line.split("\t")
            said[utt], own[utt] = text, json.loads(lists[column - 2])
    return said, BiasLists(own)


HEARD = {
    # wednesday -> wensday and xavier lost: biased; honour -> honor: not
    "1089-134686-0028": "the retreat will begin on wensday afternoon in honor of saint francis "
    "whose feast day is saturday",
    # two words made up; amneris is a distractor of this utterance's list
    "1320-122617-0038": "will the hurons amneris hear his own groans",
    # no rare word in it; "to" became a distractor, "could be" was lost
    "1089-134686-0014": "he tried armeniac think how it",
    # accusing, shoppy and helstone, and eight other words: no hypothesis at all
    "1688-142285-0005": None,
}


def test_real_lists_by_hand(shared_data):
    every, lists = real_lists(shared_data, 3)
    said = {utt: every[utt] for utt in HEARD}
    heard = {utt: text for utt, text in HEARD.items() if text is not None}
    b, u = biased(said, heard, lists)
    assert b == [2, 1, 4, 1]  # of 7 words; the distractor that was made up is biased
    assert u == [24, 2, 10, 1]  # of 36 words
    # The release's own script reads column 2: the same words of the reference, no distractors.
    _, rare = real_lists(shared_data, 2)
    assert biased(said, heard, rare) == ([2, 1, 4, 0], [24, 2, 10, 2])


def test_all_real_references_right_or_lost(shared_data):
    said, lists = real_lists(shared_data, 3)
    rare = sum(word in set(lists.of(utt)) for utt, text in said.items() for word in text.split())
    words = sum(len(text.split()) for text in said.values())
    assert rare > 150
    assert biased(said, said, lists) == ([rare, 0, 0, 0], [words - rare, 0, 0, 0])
    assert biased(said, {}, lists) == ([0, 0, rare, 0], [0, 0, words - rare, 0])


def test_a_phrase_biases_its_words_only_where_all_of_it_stands():
    lists = BiasLists(words=("sugar beet", "rye"))
    said, heard = {"u": "sugar and sugar beet"}, {"u": "beet sugar beet and sugar beat"}
    # Said: only the last two are biased. Heard: "beet" is made up alone, "sugar beet" as a whole.
    assert biased(said, heard, lists) == ([1, 1, 0, 1], [2, 0, 0, 1])
    assert biased({"u": "x"}, {"u": "x sugar beet sugar"}, lists) == ([0, 0, 0, 2], [1, 0, 0, 1])


def test_lists_of_utterances_and_of_the_set():
    lists = BiasLists({"u1": ("oats",), "u2": ()}, ("rye",))
    said = {"u1": "rye oats", "u2": "rye oats", "u3": "rye oats"}
    assert biased(said, said, lists) == ([2, 0, 0, 0], [4, 0, 0, 0])  # oats in u1, rye in u3


def test_lists_pass_the_normaliser():
    lists = BiasLists(words=("Dr. Smith",))
    assert biased({"u": "DR. SMITH won"}, {"u": ""}, lists, "english")[0] == [0, 0, 2, 0]


def test_a_list_of_100_000_words_takes_no_time():
    lists = BiasLists(words=tuple(f"word{i}" for i in range(100_000)))
    said = {f"u{i:04d}": f"the word{i} was heard word{i + 99_000}" for i in range(2000)}
    start = time.process_time()
    b, _ = biased(said, said, lists)
    assert time.process_time() - start < 5
    assert b == [3000, 0, 0, 0]  # word100000 and those after it are in no list


def test_rates_of_classes():
    score = score_texts({"u": "a b", "v": "a c"}, {"u": "a b a", "v": "a c"})
    tables = count_biased(score, BiasLists(words=("a",)))
    figure = Rates(resamples=50).errors(tables[BIASED])
    assert {key: figure[key] for key in ("percent", "errors", "reference", "insertions")} == {
        "percent": 50,
        "errors": 1,
        "reference": 2,
        "insertions": 1,
    }
    assert figure["interval"] == [0, 100]
    nothing = Rates().errors(count_biased(score, BiasLists(words=("z",)))[BIASED])
    assert nothing["percent"] is None and nothing["interval"] is None


def test_bins_of_training_frequency():
    frequencies = {"b": 1, "c": 10, "d": 11, "e": 100, "f": 1000, "g": 1001}
    score = score_texts({"u": "a b c d e f g"}, {"u": "a x c d e f a g"})
    tables = count_by_frequency(score, frequencies)
    assert list(tables) == list(FREQUENCIES) == ["0", "1-10", "11-100", "101-1000", ">1000"]
    assert [table.sum(axis=0).tolist() for table in tables.values()] == [
        [1, 0, 0, 1],  # a, and an a that was made up
        [1, 1, 0, 0],  # b is lost, c right
        [2, 0, 0, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 0],
    ]


@pytest.mark.parametrize("name", ["plain", "english"])
def test_classes_divide_all_words(name):
    said = {f"u{i}": " ".join(f"w{(i * k) % 17}" for k in range(9)) for i in range(40)}
    heard = {utt: text.replace("w3", "w4").replace("w5 ", "") for utt, text in said.items()}
    score = score_texts(said, heard, normalizer(name))
    for tables in (
        count_biased(score, BiasLists(words=("w1", "w4 w8"))),
        count_by_frequency(score, {"w1": 5, "w2": 500}),
    ):
        words = score.words
        total = sum(table.sum(axis=0) for table in tables.values())
        assert total.tolist() == [
            *(words.hits, words.substitutions, words.deletions, words.insertions)
        ]
