"""Form fields of a transcription request, in OpenAI's words.

No field is read and ignored: what this server cannot do is refused by name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile

from speechllm.data.dirs.bias_lists import entry_problem, spaced
from speechllm.decode.config import DecodeConfig
from speechllm.errors import did_you_mean, shown
from speechllm.serve.api_error import ApiError, bad_field
from speechllm.task import Task
from speechllm.transcribe.formats import SUBTITLES

RESPONSE_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
STREAMED = ("json", "text")
MOST_HOTWORDS = 1000
"""Entries of a prompt; a list of a whole domain belongs into the decode config's biasing."""
ALLOWED = {
    "temperature": (("", "0", "0.0"), "the search is a beam search without chance: leave it out"),
    "chunking_strategy": (("", "auto"), "long recordings are cut at pauses: leave it out"),
    "timestamp_granularities[]": (("segment",), "only segments have times: give segment"),
}
"""Fields with one value that this server can do, and what to say of others."""
REFUSED = {
    "language": "the model's language is that of its training: leave it out",
    "include[]": "there are no log-probabilities: leave it out",
}
_KNOWN = {"file", "model", "prompt", "response_format", "stream", *ALLOWED, *REFUSED}


@dataclass(frozen=True)
class Wanted:
    """Wishes of a request, checked.

    Attributes:
        file: the upload.
        domain: of the model.
        response_format: one of `RESPONSE_FORMATS`.
        is_streamed: events, piece by piece.
        hotwords: entries of the prompt.
    """

    file: UploadFile
    domain: str
    response_format: str
    is_streamed: bool
    hotwords: tuple[str, ...]


def read_fields(form: FormData, configs: Mapping[str, DecodeConfig], task: Task) -> Wanted:
    """Check the form of a request.

    Args:
        form: the form as sent.
        configs: settings of the search by domain, each a model name of the API; one with biasing
            takes hotwords.
        task: of the model; one that does not answer with text to read has no subtitles.

    Raises:
        ApiError: 400 with the field at fault; 404 if there is no such model.
    """
    names = [name for name, _ in form.multi_items()]
    if unknown := sorted(set(names) - _KNOWN):
        raise bad_field(f"unknown field{did_you_mean(unknown[0], _KNOWN)}", unknown[0])
    if twice := [name for name in set(names) if names.count(name) > 1]:
        raise bad_field(f"field is given {names.count(twice[0])} times", twice[0])
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise bad_field("there is no file: send the recording as the form's `file`", "file")
    for name, (allowed, advice) in ALLOWED.items():
        if name in form and form[name] not in allowed:
            raise bad_field(advice, name)
    for name, advice in REFUSED.items():
        if form.get(name):
            raise bad_field(advice, name)
    response_format = _word(form, "response_format", "json", RESPONSE_FORMATS)
    is_streamed = _word(form, "stream", "false", ("true", "false")) == "true"
    if is_streamed and response_format not in STREAMED:
        raise bad_field(f"events have text alone, not {response_format}", "response_format")
    if response_format in SUBTITLES and not task.is_read:
        message = f"the model's task {task.name} does not answer with what was said"
        raise bad_field(message, "response_format")
    domain = _domain(form, list(configs))
    hotwords = _hotwords(form, configs[domain])
    return Wanted(file, domain, response_format, is_streamed, hotwords)


def check_model(name: str, domains: Sequence[str]) -> str:
    """Return a model name that is one of the domains.

    Raises:
        ApiError: 404, there is no such model.
    """
    if name not in domains:
        message = f"the model {shown(name)} does not exist{did_you_mean(name, domains)}"
        raise ApiError(404, message, "model_not_found", "model")
    return name


def _domain(form: FormData, domains: Sequence[str]) -> str:
    name = form.get("model")
    if not isinstance(name, str) or not name:
        raise bad_field(f"give one of {', '.join(domains)}", "model")
    return check_model(name, domains)


def _word(form: FormData, name: str, default: str, choices: Sequence[str]) -> str:
    word = form.get(name, default)
    if not isinstance(word, str) or word.lower() not in choices:
        raise bad_field(f"give one of {', '.join(choices)}", name)
    return word.lower()


def _hotwords(form: FormData, config: DecodeConfig) -> tuple[str, ...]:
    """Entries of the prompt: words and phrases between commas or line ends."""
    prompt = form.get("prompt", "")
    if not isinstance(prompt, str):
        raise bad_field("the prompt is text, not a file", "prompt")
    entries = list(dict.fromkeys(filter(None, map(spaced, re.split(r"[,;\n]", prompt)))))
    if not entries:
        return ()
    if config.biasing is None:
        message = (
            "the model takes no hotwords: leave out the prompt, or start the server with biasing, "
            "e.g. biasing.trie.boost=1"
        )
        raise bad_field(message, "prompt")
    prompts = config.biasing.prompt
    most = prompts.most if prompts and prompts.filter == "none" else MOST_HOTWORDS
    if len(entries) > most:
        raise bad_field(f"{len(entries)} hotwords, and {most} are the most", "prompt")
    if problem := next(filter(None, map(entry_problem, entries)), None):
        raise bad_field(f"hotwords, between commas: {problem}", "prompt")
    return tuple(entries)
