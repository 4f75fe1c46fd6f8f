"""kvpress on the documents of `tca eval --save-documents`: the same tokens, asked after the document was read and dropped.

usage: kvpress_answers.py MODEL DOCUMENTS.jsonl METHOD:SHARE... [--device cuda] [--limit N] > RESULT.json

METHOD is full (full:1, first, where its answers are to be compared with), kvzip, adakv-ea, snapkv, compactor, streaming or
expected-attention; SHARE is what is kept. Needs a Python of its own (kvpress 0.5.5 does not know Transformers 5.3 and later):
pip install "transformers<5.3" kvpress==0.5.5. kvpress masks what KVzip and AdaKV drop and frees nothing of it, so that kv_bytes
are what is allocated and kept_share is what was asked for.
"""
import argparse
import json
import re
import statistics
import sys
import time

import kvpress
import torch
from kvpress.pipeline import KVPressTextGenerationPipeline
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

PRESSES = {
    "full": lambda dropped: None,
    "kvzip": lambda dropped: kvpress.KVzipPress(dropped),
    "adakv-ea": lambda dropped: kvpress.AdaKVPress(kvpress.ExpectedAttentionPress(dropped, epsilon=1e-2)),
    "expected-attention": lambda dropped: kvpress.ExpectedAttentionPress(dropped),
    "snapkv": lambda dropped: kvpress.SnapKVPress(dropped),
    "compactor": lambda dropped: kvpress.CompactorPress(dropped),
    "streaming": lambda dropped: kvpress.StreamingLLMPress(dropped),
}


class SameTokens(KVPressTextGenerationPipeline):
    """Takes ids where the pipeline would make its own: a tuple, since a list would be a batch to it."""

    def preprocess(self, context, questions, **_):
        rows = [torch.tensor([ids]) for ids in [context, *questions]]
        return {"context_ids": rows[0], "questions_ids": rows[1:]}


def words(text):
    """As the metric `words` of docs/cli.md compares them: letters and digits alone, commas inside numbers left out."""
    text = re.sub(r"(?<=[0-9]),(?=[0-9])", "", text.lower())
    return " " + " ".join(re.findall(r"[a-z0-9\x80-\U0010ffff]+", text)) + " "


def found(text, question):
    return any(words(answer).strip() and words(answer) in words(text) for answer in question["answers"])


def answers_of(pipe, press, document, max_new_tokens):
    cache = DynamicCache()
    out = pipe(tuple(document["context_ids"]), questions=[question["ids"] for question in document["questions"]], press=press,
               cache=cache, max_new_tokens=max_new_tokens)
    return out["answers"], sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)


def evaluate(pipe, name, share, documents):
    right, seconds, kv_bytes = [], [], []
    for document in documents:
        start = time.perf_counter()
        pipe(tuple(document["context_ids"]), questions=[document["questions"][0]["ids"]], press=PRESSES[name](1 - share), max_new_tokens=1)
        if pipe.device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
        most = max(question["max_tokens"] for question in document["questions"])
        answers, held = answers_of(pipe, PRESSES[name](1 - share), document, most)
        kv_bytes.append(held)
        right.append([found(answer, question) for answer, question in zip(answers, document["questions"])])
    return {"method": f"{name}:{share:g}", "kept_share": share, "kv_bytes": statistics.mean(kv_bytes),
            "read_seconds": statistics.median(seconds), "right": right}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("documents")
    parser.add_argument("methods", nargs="+")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()

    dtype = torch.float32 if args.device == "cpu" else torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype).to(args.device).eval()
    pipe = SameTokens(model=model, tokenizer=AutoTokenizer.from_pretrained(args.model), device=model.device)
    with open(args.documents, encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines][: args.limit]

    results = []
    for method in args.methods:
        name, share = method.split(":")
        try:
            result = evaluate(pipe, name, float(share), documents)
        except Exception as error:  # a method that fails says so in the table, the others go on
            print(f"{method}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        result["found"] = sum(map(sum, result["right"]))
        results.append(result)
        full = next((other["right"] for other in results if other["method"] == "full:1"), None)
        if full:
            pairs = [pair for whole, part in zip(full, result["right"]) for pair in zip(whole, part)]
            result["of"], result["survived"] = sum(whole for whole, _ in pairs), sum(whole and part for whole, part in pairs)
        print(f"{method}: {json.dumps({name: value for name, value in result.items() if name != 'right'})}", file=sys.stderr)
    json.dump({"model": args.model, "documents": len(documents), "device": args.device, "kvpress": "0.5.5", "methods": results},
              sys.stdout, indent=1)


if __name__ == "__main__":
    main()
