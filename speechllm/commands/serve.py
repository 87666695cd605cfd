"""serve a packed model by OpenAI's audio API"""

import argparse
from pathlib import Path

from speechllm.commands.options.cutting import add_cutting
from speechllm.commands.options.numbers import real, whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `speechllm serve`."""
    parser.add_argument(
        "--model",
        required=True,
        help="packed folder, folder of a run, or packed model of the hub: owner/name[@revision]",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    parser.add_argument(
        "--port", type=whole(0, 65535), default=8000, help="0: any free one (default: %(default)s)"
    )
    parser.add_argument(
        "--api_key_file",
        type=Path,
        help="file with a key in each line, which clients have to send; needed for any --host that "
        "other machines reach",
    )
    parser.add_argument(
        "--queue",
        type=whole(1, 10_000),
        default=64,
        help="requests that may be open at once (default: %(default)s)",
    )
    parser.add_argument(
        "--most_mb", type=real(0), default=200.0, help="largest upload (default: %(default)g)"
    )
    parser.add_argument(
        "--most_seconds",
        type=real(0),
        default=7200.0,
        help="longest recording (default: %(default)g)",
    )
    parser.add_argument(
        "--timeout",
        type=real(0),
        default=600.0,
        help="seconds that a request may take (default: %(default)g)",
    )
    parser.add_argument(
        "--batch_seconds",
        type=real(0),
        default=120.0,
        help="seconds of audio that are decoded together (default: %(default)g)",
    )
    parser.add_argument(
        "--linger",
        type=real(most=1000),
        default=20.0,
        help="milliseconds without a new request after which an idle model begins; it waits for "
        "ten times as long at most (default: %(default)g)",
    )
    add_cutting(parser)
    parser.add_argument("--config", type=Path, help="yaml of DecodeConfig instead of the model's")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (default: a GPU, where there is one)")
    parser.add_argument("--trust_remote_code", action="store_true", help="run the models' own code")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="changes of the search, e.g. beam=8"
    )


def run(args: argparse.Namespace) -> None:
    """Load the model, and serve it until SIGTERM or SIGINT.

    Raises:
        SpeechLLMError: the extra `serve` is not installed, or as `Engine.load`, `bind`,
            `read_keys`.
    """
    from speechllm.config import parse, with_overrides
    from speechllm.decode.config import DecodeConfig
    from speechllm.errors import SpeechLLMError

    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        message = f"the server needs {error.name}, which is not installed"
        raise SpeechLLMError(message, 'pip install "speechllm[serve]"') from error

    from speechllm.serve.limits import ServeLimits
    from speechllm.serve.server import bind
    from speechllm.serve.web.keys import read_keys
    from speechllm.transcribe.recogniser import CutConfig

    parse(DecodeConfig, with_overrides({}, args.overrides), "serve")  # before the model is loaded
    limits = parse(
        ServeLimits, {key: getattr(args, key) for key in ServeLimits.model_fields}, "serve"
    )
    cut = {key: getattr(args, key) for key in CutConfig.model_fields}
    cut_config = parse(CutConfig, cut, "serve")
    keys = read_keys(args.host, args.api_key_file)
    with bind(args.host, args.port) as listener:
        from speechllm.data.speech.segmentation import check_vad
        from speechllm.serve.engine import Engine
        from speechllm.serve.metrics import ServeMetrics
        from speechllm.serve.run import serve
        from speechllm.transcribe.load import load_parts
        from speechllm.transcribe.search_config import search_config

        check_vad(cut_config.vad)
        parts = load_parts(args.model, None, args.device, args.trust_remote_code)
        task = parts.switch.model.task
        configs = {
            domain: search_config(parts.decode, task, args.config, args.overrides, domain)
            for domain in parts.switch.domains
        }
        engine = Engine(parts.switch, parts.encoder, configs, ServeMetrics())
        serve(engine, listener, keys, limits, cut_config)
