"""The CTC head of an encoder, where its folder holds one."""

from typing import Any

from speechllm.errors import ConfigError
from speechllm.pretrained import LOADING_ERRORS, quietly, resolve_folder
from speechllm.slot.pseudo_audio.posteriors import CtcHead


def load_ctc_head(name: str, trust_remote_code: bool = False) -> tuple[CtcHead, Any]:
    """Load the CTC head of an encoder, and the tokenizer of its symbols.

    Args:
        name: folder or hub id of the encoder.
        trust_remote_code: run the model's own code.

    Raises:
        ConfigError: the encoder has no CTC head of one linear layer, or no tokenizer.
    """
    from transformers import AutoModelForCTC, AutoTokenizer

    folder = resolve_folder(name, "model.encoder")
    options = {"trust_remote_code": trust_remote_code}
    try:
        with quietly():
            model, loading = AutoModelForCTC.from_pretrained(
                folder, output_loading_info=True, **options
            )
    except LOADING_ERRORS as error:
        raise _no_head(name, str(error)) from error
    if not hasattr(model, "lm_head"):
        raise _no_head(name, f"{type(model).__name__} has no lm_head")
    if missing := sorted(k for k in loading["missing_keys"] if k.startswith("lm_head")):
        raise _no_head(name, f"no weights for {', '.join(missing)}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, do_phonemize=False, **options)
    except LOADING_ERRORS as error:
        raise _no_head(name, "its folder holds no tokenizer") from error
    special = frozenset(i for i in tokenizer.all_special_ids if i is not None)
    return (
        CtcHead(
            model.lm_head.weight.detach().float().numpy(),
            model.lm_head.bias.detach().float().numpy(),
            model.config.pad_token_id,
            special | {model.config.pad_token_id},
        ),
        tokenizer,
    )


def _no_head(name: str, why: str) -> ConfigError:
    return ConfigError(
        f"model.encoder: {name} has no CTC head: {why}",
        "name an encoder that was trained with CTC, or do without what needs its head: the method "
        "`posterior`, biasing.prompt.filter: ctc, word_times: ctc",
    )
