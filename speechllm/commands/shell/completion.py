"""print what bash or zsh needs to complete commands and options

speechllm completion bash > ~/.local/share/bash-completion/completions/speechllm
speechllm completion zsh > ~/.zfunc/_speechllm      # a folder of fpath
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm completion`."""
    parser.add_argument("shell", choices=("bash", "zsh"))


def run(args: argparse.Namespace) -> None:
    """Print the script.

    Raises:
        SpeechLLMError: shtab is not installed.
    """
    from speechllm.errors import SpeechLLMError

    try:
        import shtab
    except ImportError as error:
        remedy = "pip install 'speechllm[completion]'"
        raise SpeechLLMError("completion needs the package shtab", remedy) from error
    print(shtab.complete(whole_parser(), shell=args.shell))


def whole_parser() -> argparse.ArgumentParser:
    """Parser of all commands at once; groups are parsers with commands of their own."""
    from speechllm.commands.options.parser import Parser
    from speechllm.commands.options.register import COMMANDS, load_command

    root = Parser(prog="speechllm")
    commands = root.add_subparsers(parser_class=Parser)
    groups: dict[str, argparse._SubParsersAction] = {}
    for name, text in COMMANDS.items():
        group, _, word = name.rpartition(" ")
        if group and group not in groups:
            # shtab leaves out a parser without help.
            parser = commands.add_parser(group, help=f"commands of {group}")
            groups[group] = parser.add_subparsers(parser_class=Parser)
        parser = (groups[group] if group else commands).add_parser(word, help=text)
        load_command(name).add_arguments(parser)
        for action in parser._actions:  # a command with actions of its own is a group, too
            if isinstance(action, argparse._SubParsersAction):
                groups[name] = action
    return root
