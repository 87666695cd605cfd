import pytest

from speechllm.score.chance.bootstrap import bootstrap_interval
from speechllm.score.count.entities import score_entities
from speechllm.score.count.wer import score_texts


def entity(text: str, kind: str = "crop") -> dict[str, str]:
    return {"type": kind, "text": text}


def entities_of(reference: str, hypothesis: str, *listed, normalizer="plain"):
    score = score_texts({"u": reference}, {"u": hypothesis}, normalizer)
    return score_entities(score, {"u": list(listed)})


def counts(result) -> tuple[int, int]:
    """Annotated entities that are not wholly right, and all."""
    annotated = result.overall.annotated.sum()
    return annotated - result.overall.right.sum(), annotated


def words(result) -> tuple[int, int]:
    """Word errors in entities, and entity words."""
    return result.overall.errors.sum(), result.overall.reference.sum()


def false(result) -> dict[str, int]:
    return {kind: counts.false.sum() for kind, counts in result.by_type.items()}


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
    overall = result.overall
    assert overall.errors.tolist() == [1, 0, 1]  # beet, rye
    assert overall.reference.tolist() == [3, 0, 2]  # sugar beet rye, aphids rye
    assert overall.right.tolist() == [1, 0, 1]
    assert overall.annotated.tolist() == [2, 0, 2]
    assert overall.percent == pytest.approx(40) and not overall.false.any()
    assert overall.f1 == pytest.approx(2 * 50 / 1.5)
    by_type = {
        name: (c.errors.sum(), c.reference.sum(), c.right.sum(), c.annotated.sum())
        for name, c in result.by_type.items()
    }
    assert by_type == {"crop": (2, 4, 1, 3), "pest": (0, 1, 1, 1)}
    low, high = bootstrap_interval(overall.right, overall.annotated)
    assert (low, high) == (50, 50)  # every resample that has entities has half of them wrong


@pytest.mark.parametrize(
    ("heard", "errors"),
    [
        ("sow sugar beet now", 0),
        ("we sow the sugar beet", 0),  # errors around it
        ("sow sugar beets now", 1),
        ("sow sugar now", 1),
        ("", 2),
        ("sow sugar cane beet now", 1),  # its words are there, but no longer together
        ("sow sugar cane and beet now", 2),
        ("sow now sugar beet", 0),  # at its place in the alignment: "now" is inserted before it
    ],
)
def test_errors_of_words_and_right_entities(heard, errors):
    """An entity is right if and only if its words hold no error."""
    result = entities_of("sow sugar beet now", heard, entity("sugar beet"))
    assert words(result) == (errors, 2)
    assert counts(result) == (errors > 0, 1)


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
    result = entities_of("sugar beet", "x beet", *nested)
    assert counts(result) == (1, 3)
    assert words(result) == (1, 2), "a word in three annotations is one word"
    assert words_of_type(result, "crop") == (1, 2) and words_of_type(result, "plant") == (0, 1)


def words_of_type(result, kind: str) -> tuple[int, int]:
    counts = result.by_type[kind]
    return counts.errors.sum(), counts.reference.sum()


def test_entities_that_were_heard_and_not_said():
    score = score_texts(
        {"u1": "sow rye", "u2": "no crop here", "u3": "rye and oats", "u4": "a beet"},
        {"u1": "sow oats", "u2": "no sugar beet here", "u3": "rye and oats", "u4": "a sugar beet"},
    )
    entities = {
        "u1": [entity("rye"), entity("rye", "grain")],
        "u3": [entity("oats")],  # rye is said, but not annotated: neither right nor false
        "u4": [entity("beet")],
        "u5": [entity("sugar beet")],  # of another set, or lost: its string is known all the same
    }
    result = score_entities(score, entities)
    crop = result.by_type["crop"]
    # oats for rye; sugar beet out of nothing; beet is right, so that "sugar" alone is no entity.
    assert crop.false.tolist() == [1, 1, 0, 0]
    assert (crop.right.sum(), crop.annotated.sum()) == (2, 3)
    assert crop.f1 == pytest.approx(100 * 4 / 7)
    assert result.by_type["grain"].false.sum() == 0, "oats is no grain in this set"
    assert result.overall.false.tolist() == [1, 1, 0, 0]


def test_false_entities_are_the_longest_and_do_not_overlap():
    listed = [entity("sugar"), entity("sugar beet"), entity("beet leaf")]
    said = "sugar then sugar beet then beet leaf"
    score = score_texts({"u": said, "v": "nothing"}, {"u": said, "v": "sugar beet leaf sugar"})
    result = score_entities(score, {"u": listed})
    assert result.overall.right.sum() == 3
    assert false(result) == {"crop": 2}  # "sugar beet" and "sugar"; "leaf" is left over


def test_the_normalizer_is_applied_to_entities_too():
    said, heard = "Use Mr. Green's spray.", "use mister green's spray"
    result = entities_of(said, heard, entity("Mr. Green's"), normalizer="english")
    assert counts(result) == (0, 1)


def test_what_has_no_place_is_listed_and_not_counted():
    result = entities_of("sow rye", "sow rye", entity("wheat"), entity("rye"), entity("rye"))
    assert counts(result) == (0, 1) and result.unplaced == {"u": ["wheat", "rye"]}
    nothing = entities_of("sow rye", "sow rye")
    assert nothing.overall.percent is None and nothing.by_type == {}


def test_a_missing_hypothesis_loses_its_entities():
    score = score_texts({"u1": "sow rye", "u2": "rye"}, {"u2": "rye"})
    result = score_entities(score, {"u1": [entity("rye")], "u2": [entity("rye")]})
    assert result.overall.right.tolist() == [0, 1]
    assert result.overall.errors.tolist() == [1, 0]
