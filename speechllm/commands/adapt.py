"""adapt a base model to a target domain by one method"""

import argparse
import logging
from pathlib import Path

from speechllm.commands.options.duration import add_max_time, deadline_of

log = logging.getLogger(__name__)

VERIFIES = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm adapt`."""
    parser.add_argument("--config", required=True, type=Path, help="yaml of the method")
    parser.add_argument("--base", required=True, type=Path, help="folder of the base model")
    parser.add_argument("--dump", required=True, type=Path, help="root of the feature cache")
    parser.add_argument("--source", required=True, nargs="+", type=Path, help="source data dirs")
    parser.add_argument("--target", required=True, nargs="+", type=Path, help="target data dirs")
    parser.add_argument("--source_dev", nargs="*", default=[], type=Path, help="for the monitor")
    parser.add_argument("--target_dev", nargs="*", default=[], type=Path, help="for the monitor")
    parser.add_argument("--exp", required=True, type=Path, help="folder of the adapted model")
    add_max_time(parser)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change the config")


def run(args: argparse.Namespace) -> None:
    """Adapt a base model, or resume; do nothing if the model is finished."""
    from speechllm.adapt.folder import adapt_inputs, claimed
    from speechllm.adapt.method import load_method

    deadline = deadline_of(args)
    method = load_method(args.config, args.overrides)
    sets = {name: getattr(args, name) for name in ("source", "target", "source_dev", "target_dev")}
    with claimed(args.exp, method, adapt_inputs(method, args.base, sets, args.dump)) as is_ours:
        if not is_ours:
            log.info("%s is trained already", args.exp)
            return

        from speechllm.adapt.run import adapt

        adapt(method, args.base, dump=args.dump, folder=args.exp, **sets, deadline=deadline)
