"""Whether tca, Transformers and llama.cpp compute the same model: their greedy continuations of the same texts.

bf16 sums differ in their last bits, so that where two tokens are about as likely the continuations may part; the first
token of each must be the same."""
import json
import os
import pathlib

import measure
from process import ROOT, Failed, run

TEXT = ROOT / "examples/data/michael-armstrong.txt"
BYTES = 4400  # about 1,024 tokens
PROMPTS = 4
TOKENS = 16
HERE = pathlib.Path(__file__).resolve().parent


def write_prompts(folder):
    """Files of whole words, from all over the text."""
    text = TEXT.read_text(encoding="utf-8")
    files = []
    for i in range(PROMPTS):
        start = text.index(" ", i * (len(text) - 2 * BYTES) // PROMPTS)
        end = text.rindex(" ", start, start + BYTES)
        files.append(os.path.join(folder, f"prompt-{i}.txt"))
        pathlib.Path(files[-1]).write_text(text[start:end].strip(), encoding="utf-8")
    return files


def tca_texts(args, files):
    texts, counts = [], []
    for file in files:
        done = run([args.tca, "run", "--device", "cpu", "--model", args.model, "--attention", "full", "-f", file, "-n",
                    TOKENS, "--threads", args.threads, "--json"], 300)
        result = json.loads(done.output)
        texts.append(result["text"])
        counts.append(result["prompt_tokens"])
    return texts, counts


def transformers_texts(args, files):
    done = run([args.python, HERE / "transformers_worker.py", "continue", args.model, TOKENS, args.threads, *files],
               300)
    result = json.loads(done.output.splitlines()[-1])
    return result["texts"], result["prompt_tokens"]


def llama_texts(args, files):
    """By llama-completion beside llama-bench."""
    program = pathlib.Path(args.llama_bench).with_name("llama-completion")
    texts = []
    for file in files:
        done = run([program, "-m", args.gguf, "-f", file, "-n", TOKENS, "--temp", "0", "-no-cnv", "--no-display-prompt",
                    "--no-escape", "-dev", "none", "-t", args.threads, "-c", 4096], 300)
        texts.append(done.output.removesuffix("\n\n"))  # what the program ends with
    return texts, None


def agreed(a, b):
    """Characters to where the texts part."""
    return len(os.path.commonprefix([a, b]))


def check(args, names, folder):
    """The exit code."""
    files = write_prompts(folder)
    texts = {}
    for name, ask in (("tca, full", tca_texts), ("Transformers", transformers_texts), ("llama.cpp", llama_texts)):
        if name not in names:
            continue
        try:
            texts[name], counts = ask(args, files)
        except Failed as error:
            measure.say(f"{name} is not compared: {error}")
            continue
        print(f"{name}: prompts of {counts or 'as many'} tokens")
    if len(texts) < 2:
        measure.say("nothing to compare")
        return 1
    reference = "Transformers" if "Transformers" in texts else next(iter(texts))
    wrong, lines = False, []
    for name, found in texts.items():
        for i, (text, expected) in enumerate(zip(found, texts[reference])):
            first = agreed(text, expected)
            wrong |= first == 0
            lines.append((i, name, f"{first} of {len(expected)}", repr(text)))
    measure.table(("prompt", "", f"characters as {reference}", "continuation"), sorted(lines))
    return int(wrong)
