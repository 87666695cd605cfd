"""Answers that a data dir asks of the LLM, one for each utterance."""

from speechllm.data.dirs.kaldi import DataDir
from speechllm.data.dirs.tables import first_ids, read_table
from speechllm.errors import DataError
from speechllm.task import Task


def read_targets(task: Task, data_dir: DataDir) -> dict[str, str]:
    """Answers by utterance id, in the order of `data_dir.ids`; transcripts for ASR.

    Raises:
        DataError: there is no such table, a line of it cannot be read, or an utterance has no line.
    """
    if task.table == "text":
        return data_dir.text
    path = data_dir.path / task.table
    if not path.is_file():
        remedy = f"the task {task.name} needs it; or name another task in model.task"
        raise DataError("no such file", path, remedy=remedy)
    rows = read_table(path)
    if absent := [utt for utt in data_dir.ids if utt not in rows]:
        remedy = "add a line for each, or take the utterances out: speechllm data subset"
        message = f"no line for utterances of text: {first_ids(absent)}"
        raise DataError(message, path, remedy=remedy)
    # read_table refuses empty lines, so the n-th entry stands on line n.
    numbers = {utt: number for number, utt in enumerate(rows, 1)}
    answers = {}
    for utt in data_dir.ids:
        try:
            answers[utt] = task.answer(rows[utt], data_dir.text[utt])
        except ValueError as error:
            message = f"{utt}: {error}"
            raise DataError(message, path, numbers[utt], "mend the line") from error
    return answers
