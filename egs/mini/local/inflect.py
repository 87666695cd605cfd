"""English inflection by rule, with the irregular words that the grammars use."""

import re


def _table(rows: str) -> dict[str, list[str]]:
    """Read "word form form, word form form" into word -> forms."""
    return {word: forms for word, *forms in (row.split() for row in rows.split(","))}


# past, participle
_VERBS = _table(
    """
    arise arose arisen, be was been, beat beat beaten, become became become, begin began begun,
    bend bent bent, bind bound bound, bite bit bitten, bleed bled bled, blow blew blown,
    break broke broken, breed bred bred, bring brought brought, broadcast broadcast broadcast,
    build built built, burn burned burned, buy bought bought, catch caught caught,
    choose chose chosen, come came come, cost cost cost, cut cut cut, deal dealt dealt,
    dig dug dug, do did done, draw drew drawn, drink drank drunk, drive drove driven,
    eat ate eaten, fall fell fallen, feed fed fed, feel felt felt, fight fought fought,
    find found found, flee fled fled, fly flew flown, forget forgot forgotten,
    forgive forgave forgiven, freeze froze frozen, get got gotten, give gave given, go went gone,
    grind ground ground, grow grew grown, hang hung hung, have had had, hear heard heard,
    hide hid hidden, hit hit hit, hold held held, hurt hurt hurt, keep kept kept,
    kneel knelt knelt, know knew known, lay laid laid, lead led led, leave left left,
    lend lent lent, let let let, lie lay lain, light lit lit, lose lost lost, make made made,
    mean meant meant, meet met met, misunderstand misunderstood misunderstood, mow mowed mown,
    overdraw overdrew overdrawn, overflow overflowed overflowed, pay paid paid, put put put,
    quit quit quit, read read read, restring restrung restrung, ride rode ridden, ring rang rung,
    rise rose risen, run ran run, say said said, see saw seen, sell sold sold, send sent sent,
    set set set, sew sewed sewn, shake shook shaken, shine shone shone, shoot shot shot,
    shrink shrank shrunk, shut shut shut, sing sang sung, sink sank sunk, sit sat sat,
    sleep slept slept, smell smelled smelled, sow sowed sown, speak spoke spoken,
    spend spent spent, spill spilled spilled, spin spun spun, split split split,
    spread spread spread, stand stood stood, steal stole stolen, stick stuck stuck,
    strike struck struck, string strung strung, swear swore sworn, sweep swept swept,
    swell swelled swollen, swim swam swum, take took taken, teach taught taught, tear tore torn,
    tell told told, think thought thought, throw threw thrown, undergo underwent undergone,
    understand understood understood, wake woke woken, wear wore worn, weep wept wept, win won won,
    wind wound wound, withdraw withdrew withdrawn, write wrote written
    """
)

_PLURALS = _table(
    """
    foot feet, tooth teeth, mouse mice, ox oxen, child children, leaf leaves, knife knives,
    wife wives, loaf loaves, wolf wolves, calf calves, thief thieves, shelf shelves, scarf scarves,
    life lives, half halves, hoof hooves, sheaf sheaves, potato potatoes, tomato tomatoes,
    hero heroes, mango mangoes, mosquito mosquitoes, volcano volcanoes, buffalo buffaloes,
    echo echoes, fungus fungi, larva larvae, vertebra vertebrae
    """
)

# Plural as singular: what is not counted, and a few that are.
_SAME_PLURAL = frozenset(
    """
    advice aircraft anger attention barley boredom bread broccoli butter castanets cauliflower
    celery cinnamon corn courage crossroads curiosity custard deer electricity excitement feed
    fertilizer fish fodder freedom garlic ginger glue goldfish grammar gravity gravy guilt
    happiness hate hay homework honesty honey imagination jazz jealousy jellyfish joy justice
    ketchup kindness knowledge lettuce love loyalty manure mint moose music mustard pajamas
    parsley pasta patience peace pepper pliers popcorn poultry poverty pride progress research
    respect rice rock salmon salt sandpaper scissors series shame sheep shrimp silence
    spaghetti spelling spinach straw swine thrips timpani tofu trout trust truth vanilla
    vinegar vocabulary wealth weather wheat wisdom yogurt youth
    """.split()  # noqa: SIM905
)

_DEGREES = _table(
    "good better best, well better best, bad worse worst, ill worse worst, far farther farthest"
)

# Words of two syllables and more that double their last consonant, being stressed on it.
_DOUBLED = frozenset(
    """
    admit begin commit control defer equip forget handicap kidnap occur overdraw overlap
    permit prefer quit rebel refer refret regret reset submit transfer unplug unwrap
    """.split()  # noqa: SIM905
)


def inflect(words: str, form: str) -> str:
    """Put `words` in a form.

    Verbs (their first word): `s` goes, `ed` went, `en` gone, `ing` going. Nouns (their last word):
    `pl`. Adjectives: `er`, `est`. An empty form leaves them alone.

    Raises:
        ValueError: unknown form.
    """
    if not form:
        return words
    if form == "pl":
        head, space, noun = words.rpartition(" ")
        return head + space + _plural(noun)
    if form in ("er", "est"):
        return _degree(words, form)
    if form not in ("s", "ed", "en", "ing"):
        raise ValueError(f"no such form: {form}")
    verb, space, rest = words.partition(" ")
    return _verb(verb, form) + space + rest


def _sibilant(word: str) -> bool:
    return word.endswith(("s", "x", "z", "ch", "sh"))


def _consonant_y(word: str) -> bool:
    return bool(re.search(r"[^aeiou]y$", word))


def _plural(noun: str) -> str:
    if noun in _SAME_PLURAL:
        return noun
    if noun in _PLURALS:
        return _PLURALS[noun][0]
    if noun.endswith("man") and noun not in ("human", "german", "talisman"):
        return noun[:-3] + "men"
    if noun.endswith("sis"):
        return noun[:-2] + "es"
    if _consonant_y(noun):
        return noun[:-1] + "ies"
    return noun + ("es" if _sibilant(noun) else "s")


def _doubles(word: str) -> bool:
    if not re.search(r"[^aeiou][aeiou][bdgklmnprt]$|qui[tp]$", word):
        return False
    return len(re.findall(r"[aeiouy]+", word)) == 1 or word in _DOUBLED


def _stem(verb: str, ending: str) -> str:
    """Return the verb as it stands before an ending that begins with a vowel."""
    if ending == "ing":
        if verb.endswith("ie"):
            return verb[:-2] + "y"
        if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
            return verb[:-1]
    else:
        if verb.endswith("e"):
            return verb[:-1]
        if _consonant_y(verb):
            return verb[:-1] + "i"
    if verb.endswith("ic"):
        return verb + "k"
    return verb + verb[-1] if _doubles(verb) else verb


def _verb(verb: str, form: str) -> str:
    if form == "s":
        irregular = {"be": "is", "have": "has", "do": "does", "go": "goes", "quit": "quits"}
        if verb in irregular:
            return irregular[verb]
        if _consonant_y(verb):
            return verb[:-1] + "ies"
        return verb + ("es" if _sibilant(verb) else "s")
    if form == "ing":
        return _stem(verb, "ing") + "ing"
    if verb in _VERBS:
        return _VERBS[verb][0 if form == "ed" else 1]
    return _stem(verb, "ed") + "ed"


def _degree(adjective: str, form: str) -> str:
    if adjective in _DEGREES:
        return _DEGREES[adjective][0 if form == "er" else 1]
    syllables = len(re.findall(r"[aeiouy]+", re.sub(r"e$", "", adjective)))
    if syllables > 2 or (syllables == 2 and not _consonant_y(adjective)) or " " in adjective:
        return ("more " if form == "er" else "most ") + adjective
    return _stem(adjective, form) + form
