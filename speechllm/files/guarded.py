"""Errors of parsers, turned into one line that names the file.

Parsers raise all kinds of errors at damaged input (zlib.error, struct.error, RecursionError,
Arrow's and safetensors' own, ...), so all are caught. Put nothing but a parser into such a block.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speechllm.errors import DataError, SpeechLLMError, shortened


@contextmanager
def guarded(
    path: str | Path, message: str, line: int | None = None, remedy: str | None = None
) -> Iterator[None]:
    """Turn what the block raises into a DataError.

    Args:
        path: the file that is read.
        message: what is wrong with the file; the parser's own message follows.
        line: 1-based line number.
        remedy: what fixes it.

    Raises:
        DataError: the block raised any error but a SpeechLLMError, which passes unchanged.
    """
    try:
        yield
    except SpeechLLMError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:  # from the system, not a library's own
            raise DataError(f"cannot be read ({error.strerror})", path, line) from error
        said = shortened(" ".join(str(error).split()), 200) or type(error).__name__
        if isinstance(error, KeyError):
            said = f"there is no {said}"
        raise DataError(f"{message}: {said}", path, line, remedy) from error
