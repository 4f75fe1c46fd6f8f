"""Whether tca, Transformers and llama.cpp compute the same model: their greedy continuations of the same texts.

bf16 sums differ in their last bits, so that where two tokens are about as likely the continuations may part; the first
token of each must be the same, by its text."""
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


def tca_answers(args, files):
    """[(the first token, the continuation)]."""
    def text(file, tokens):
        done = run([args.tca, "run", "--device", "cpu", "--model", args.model, "--attention", "full", "-f", file, "-n",
                    tokens, "--threads", args.threads, "--json"], 300)
        return json.loads(done.output)["text"]
    return [(text(file, 1), text(file, TOKENS)) for file in files]


def transformers_answers(args, files):
    done = run([args.python, HERE / "transformers_worker.py", "continue", args.model, TOKENS, args.threads, *files],
               300)
    return json.loads(done.output.splitlines()[-1])["answers"]


def llama_answers(args, files):
    """By llama-completion beside llama-bench."""
    program = pathlib.Path(args.llama_bench).with_name("llama-completion")

    def text(file, tokens):
        done = run([program, "-m", args.gguf, "-f", file, "-n", tokens, "--temp", "0", "-no-cnv",
                    "--no-display-prompt", "--no-escape", "-dev", "none", "-t", args.threads, "-c", 4096], 300)
        return done.output.removesuffix("\n\n")  # what the program ends with
    return [(text(file, 1), text(file, TOKENS)) for file in files]


def agreed(a, b):
    """Characters to where the texts part."""
    return len(os.path.commonprefix([a, b]))


def check(args, names, folder):
    """The exit code: 0 if all that are there answered, and began with the same token."""
    files = write_prompts(folder)
    answers, wrong, lines = {}, False, []
    for name, ask in (("Transformers", transformers_answers), ("tca, full", tca_answers), ("llama.cpp", llama_answers)):
        if name not in names:
            continue
        try:
            answers[name] = ask(args, files)
        except Failed as error:
            measure.say(f"{name} cannot be compared: {error}")
            wrong = True
    if len(answers) < 2:
        measure.say("nothing to compare")
        return 1
    reference = next(iter(answers))
    for name, found in answers.items():
        for i, ((first, text), (expected_first, expected)) in enumerate(zip(found, answers[reference])):
            same = first == expected_first
            wrong |= not same
            lines.append((i, name, repr(first) + ("" if same else ", WRONG"),
                          f"{agreed(text, expected)} of {len(expected)}", repr(text)))
    measure.table(("prompt", "", "first token", f"characters as {reference}", "continuation"), sorted(lines))
    if wrong:
        measure.say("NOT THE SAME MODEL, or not all could be asked: figures beside each other mean nothing (see above)")
    return int(wrong)
