"""Words for dictation: everyday ones, numbers and made-up ones in English spelling, or an LLM's."""

import random
import re
from collections.abc import Sequence
from pathlib import Path


def _words(text: str) -> list[str]:
    return text.split()


EVERYDAY = _words("""
    about after again all almost also always and another any are around ask away back bad be
    because bed been before best better big bird black blue boat book both bottle box boy
    bread break bring brother build but buy by call came can car cat chair child church clean
    clear close cloud cold come corner could country cup cut day deep did dinner do doctor dog
    done door down drive early earth east eat egg eight end enough even ever every eye face
    fall family far farm fast father feel few field fill find fire first fish five floor fly
    food foot for forget four free friend from front full game garden gave get girl give glass
    go gone good grass great green ground had hair half hand happy hard have he head hear
    heard help her here high him his hold home hope horse hot hour house how hundred i ice
    idea if in into is island it jump just keep kind king kitchen know lake land large last
    late laugh lead learn leave left letter life light like line lion list little live long
    look lost lot love low made make man many market may me mean meat meet middle milk mind
    minute money month moon more morning mother mountain mouth move much music must my name
    near need never new next nice night nine no noise north nose not now number of off often
    old on once one only open or orange other our out over page paint paper park part people
    piece place plain plant play please point pot pull push put question quick quiet rain ran
    reach read ready red rest rich ride right ring river road rock roll roof room round run
    said same sand say school sea second see seed seem seven shall she sheep ship shoe shop
    short should show shut side simple since sing sister sit six sleep slow small smile snow
    so some song soon sound south space speak spring stand star start stay step stone stop
    store story street strong such sugar summer sun sure swim table tail take talk tall teach
    tell ten than thank that the their them then there these they thing think third this those
    thought thousand three through time to together told too took top town tree true try turn
    twelve twenty two under until up use very voice wait walk wall want warm was wash watch
    water way we wear week well went were west what wheel when where which while white who
    whole why wide will wind window winter wish with woman wood word work world would write
    yard year yellow yes yet you young your
""")
ONSETS = _words("""
    b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p pl pr qu r s sc sh sk sl sm sn
    sp st str sw t th tr tw v w y z
""")
NUCLEI = _words("a e i o u ai ay ea ee ie oa oo ou ow ar er ir or ur aw")
CODAS = _words("b ck d f g k l m n ng nd nt nk mp p r s sh st t th x z ll ss ct ft lt rk rm rn")


def made_up_word(rng: random.Random) -> str:
    """One to three syllables."""
    return "".join(
        rng.choice(ONSETS) * (rng.random() < 0.85)
        + rng.choice(NUCLEI)
        + rng.choice(CODAS) * (rng.random() < 0.6)
        for _ in range(rng.choices((1, 2, 3), (4, 4, 1))[0])
    )


def dictation(rng: random.Random) -> str:
    """Four to twelve words in no order."""
    return " ".join(
        made_up_word(rng) if rng.random() < 0.3 else rng.choice(EVERYDAY)
        for _ in range(rng.randint(4, 12))
    )


def words_of(llm: Path) -> list[str]:
    """Tokens of an LLM that are words of three lower-case letters or more, the usual ones first."""
    from transformers import AutoTokenizer

    vocabulary = AutoTokenizer.from_pretrained(llm).get_vocab()
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    return [token[1:] for token in tokens if re.fullmatch("[\u0120\u2581][a-z]{3,}", token)]


def dictations_of(words: Sequence[str], rng: random.Random) -> list[str]:
    """All of the words, each once, five to twelve at a time and in no order."""
    left = rng.sample(words, len(words))
    found = []
    while left:
        size = rng.randint(5, 12)
        found.append(" ".join(left[:size]))
        left = left[size:]
    return found
