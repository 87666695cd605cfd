import pytest

from speechllm.score.bootstrap import bootstrap_interval
from speechllm.score.entities import score_entities
from speechllm.score.wer import score_texts


def entity(text: str, kind: str = "crop") -> dict[str, str]:
    return {"type": kind, "text": text}


def entities_of(reference: str, hypothesis: str, *listed, normalizer="plain"):
    score = score_texts({"u": reference}, {"u": hypothesis}, normalizer)
    return score_entities(score, {"u": list(listed)})


def counts(result) -> tuple[int, int]:
    return result.overall.errors.sum(), result.overall.reference.sum()


def test_hand_made_case():
    score = score_texts(
        {"u1": "sow sugar beet and rye", "u2": "no entity", "u3": "aphids eat rye"},
        {"u1": "sow sugar beat and rye", "u2": "nor entity", "u3": "aphids eat"},
    )
    result = score_entities(
        score,
        {
            "u1": [entity("sugar beet"), entity("rye")],
            "u3": [entity("aphids", "pest"), entity("rye")],
        },
    )
    assert result.overall.errors.tolist() == [1, 0, 1]
    assert result.overall.reference.tolist() == [2, 0, 2]
    assert result.overall.percent == 50
    assert {name: (c.errors.sum(), c.reference.sum()) for name, c in result.by_type.items()} == {
        "crop": (2, 3),
        "pest": (0, 1),
    }
    low, high = bootstrap_interval(result.overall.errors, result.overall.reference)
    assert (low, high) == (50, 50)  # every resample that has entities has half of them wrong


@pytest.mark.parametrize(
    ("heard", "wrong"),
    [
        ("sow sugar beet now", 0),
        ("we sow the sugar beet", 0),  # errors around it
        ("sow sugar beets now", 1),
        ("sow sugar now", 1),
        ("sow sugar cane beet now", 1),  # its words are there, but no longer together
        ("sow now sugar beet", 0),  # at its place in the alignment: "now" is inserted before it
    ],
)
def test_wholly_right_or_wrong(heard, wrong):
    assert counts(entities_of("sow sugar beet now", heard, entity("sugar beet"))) == (wrong, 1)


def test_words_that_are_right_elsewhere_do_not_count():
    result = entities_of("rye is sown and wheat is cut", "x is sown and rye is cut", entity("rye"))
    assert counts(result) == (1, 1)


def test_each_annotation_has_its_own_place():
    heard = "oats and rye and x"
    twice = [entity("rye"), entity("rye")]
    assert counts(entities_of("rye and rye and rye", heard, *twice)) == (1, 2)
    assert counts(entities_of("rye and rye and rye", heard, entity("rye"))) == (1, 1)
    # Another type, or a part of a longer one, may share the place.
    nested = [entity("sugar beet"), entity("beet"), entity("beet", "plant")]
    assert counts(entities_of("sugar beet", "x beet", *nested)) == (1, 3)


def test_the_normalizer_is_applied_to_entities_too():
    said, heard = "Use Mr. Green's spray.", "use mister green's spray"
    result = entities_of(said, heard, entity("Mr. Green's"), normalizer="english")
    assert counts(result) == (0, 1)


def test_what_has_no_place_is_listed_and_not_counted():
    result = entities_of("sow rye", "sow rye", entity("wheat"), entity("rye"), entity("rye"))
    assert counts(result) == (0, 1) and result.unplaced == ("u",)
    nothing = entities_of("sow rye", "sow rye")
    assert nothing.overall.percent is None and nothing.by_type == {}


def test_a_missing_hypothesis_loses_its_entities():
    score = score_texts({"u1": "sow rye", "u2": "rye"}, {"u2": "rye"})
    result = score_entities(score, {"u1": [entity("rye")], "u2": [entity("rye")]})
    assert result.overall.errors.tolist() == [1, 0]
