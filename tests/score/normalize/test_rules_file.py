import hashlib

import pytest

from speechllm.errors import ConfigError
from speechllm.score.normalize.normalize import describe, normalizer
from speechllm.score.normalize.rules_file import read_rules

RULES = r"""# of a law firm
rules:
  - unicode: NFKC
  - lower: true
  - regex: {find: '(\d),(\d{3})', replace: '\1\2'}
  - words: {colour: color, gonna: going to, uh: '', no: 'nope'}
  - strip: '.!'
"""


def write(tmp_path, text: str, name: str = "legal.yaml") -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_rules_apply_in_their_order(tmp_path):
    normalize = normalizer(write(tmp_path, RULES))
    said = "Uh I'm  GONNA pay 1,250 No more. The colour!"
    # yaml's `no` is a word here; "colour!" lost its mark too late for the map of words.
    assert normalize(said) == "i'm going to pay 1250 nope more the colour"


def test_a_rule_sees_what_those_before_it_left(tmp_path):
    late = write(tmp_path, "rules:\n  - words: {a: b}\n  - strip: '!'\n", "late.yaml")
    early = write(tmp_path, "rules:\n  - strip: '!'\n  - words: {a: b}\n", "early.yaml")
    assert (normalizer(late)("a!"), normalizer(early)("a!")) == ("a", "b")


def test_named_after_the_file_and_its_content(tmp_path):
    path = write(tmp_path, RULES)
    digest = hashlib.sha256(RULES.encode()).hexdigest()[:8]
    assert str(normalizer(path)) == f"legal@{digest}"
    write(tmp_path, RULES + "\n")
    assert str(normalizer(path)) != f"legal@{digest}"
    assert describe(path) == [
        "Unicode NFKC",
        "lower case",
        r"regex /(\d),(\d{3})/ becomes '\1\2'",
        "words: colour -> color, gonna -> going to, uh -> nothing, no -> nope",
        "each of . ! becomes a space",
        "runs of whitespace become one space",
    ]


def test_rules_of_a_named_normaliser_and_more(tmp_path):
    path = write(tmp_path, "rules:\n  - like: english\n  - words: {dr: doctor, doctor: doc}\n")
    assert normalizer(path)("Dr. Smith won't.") == "doc smith will not"
    assert describe(path)[:-2] == describe("english")


def test_punctuation_and_yml(tmp_path):
    path = write(tmp_path, "rules:\n  - strip: punctuation\n", "p.yml")
    assert normalizer(path)("don't -- 'quote' 3.5; it, is.") == "don't quote 3.5 it is"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules:\n  - lower: true\n  - regex: {find: '(', replace: ''}\n", ":3: bad regex"),
        ("rules:\n  - regex: {find: 'a', replace: '\\1'}\n", ":2: bad regex: invalid group"),
        ("rules:\n  - regex: {find: 'a'}\n", ":2: a regex has `find` and `replace`"),
        ("rules:\n  - lower: true\n    strip: x\n", ":2: one rule to an item"),
        ("rules:\n  - lowr: true\n", ":2: unknown rule 'lowr', did you mean 'lower'"),
        ("rules:\n  - lower: no\n", ":2: lower is `true`"),
        ("rules:\n  - words:\n      a: b\n      a: c\n", ":4: 'a' stands twice"),
        ("rules:\n  - words: {a b: c}\n", ":2: 'a b' is not one word"),
        ("rules:\n  - words: [a]\n", ":2: a map of words is needed"),
        ("rules:\n  - unicode: utf\n", ":2: no Unicode form"),
        ("rules:\n  - strip: ''\n", ":2: strip names no character"),
        ("rules:\n  - strip: {}\n", ":2: a text is needed"),
        ("rules:\n  - like: englisch\n", ":2: no normaliser 'englisch', did you mean"),
        ("rules: lower\n", ":1: `rules:` with a list"),
        ("- lower: true\n", ":1: `rules:` with a list of rules is needed here"),
        ("rule:\n  - lower: true\n", "unknown key 'rule', did you mean 'rules'"),
        ("rules:\n  - {\n", ":3: is not yaml"),
        ("rules:\n  - words: {a: !!python/object:os.system x}\n", None),
        ("", ":1: `rules:` with a list"),
    ],
)
def test_errors_name_the_file_and_the_line(tmp_path, text, message):
    path = write(tmp_path, text)
    if message is None:  # a tag makes nothing but text of the value
        assert normalizer(path)("a") == "x"
        return
    with pytest.raises(ConfigError, match=r"legal\.yaml") as caught:
        normalizer(path)
    assert message in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        normalizer(str(tmp_path / "absent.yaml"))
    (tmp_path / "latin.yaml").write_bytes(b"rules:\n  - strip: '\xe9'\n")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        normalizer(str(tmp_path / "latin.yaml"))


@pytest.mark.parametrize("find", ["(" * 5000, "a{1,99999999999}", "(?P<x>a)(?P<x>b)", "(?i"])
def test_a_regex_that_python_cannot_compile_is_refused(tmp_path, find):
    path = tmp_path / "x.yaml"
    path.write_text(f"rules:\n  - regex: {{find: '{find}', replace: ''}}\n")
    with pytest.raises(ConfigError, match=r"x\.yaml:2: bad regex") as error:
        read_rules(path)
    assert len(str(error.value)) < 2000
