"""Transformers on the CPU (SDPA, bf16 or fp32), in a process of its own; the last line of standard output is JSON.

    transformers_worker.py bench MODEL TOKENS DECODE THREADS REPEAT DTYPE
    transformers_worker.py continue MODEL TOKENS THREADS PROMPT_FILE..."""
import json
import sys
import time

import torch
import transformers


def load(path, threads, dtype="bfloat16"):
    torch.set_num_threads(threads)
    return transformers.AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype),
                                                             attn_implementation="sdpa")


def read(model, ids):
    """(the most likely next token [1, 1], cache)."""
    cache = transformers.DynamicCache(config=model.config)
    return model(ids, past_key_values=cache, logits_to_keep=1).logits[:, -1].argmax(-1, keepdim=True), cache


def decode(model, token, cache, steps):
    tokens = [token.item()]
    for _ in range(steps):
        token = model(token, past_key_values=cache).logits[:, -1].argmax(-1, keepdim=True)
        tokens.append(token.item())
    return tokens


def bench(path, *numbers_and_dtype):
    *numbers, dtype = numbers_and_dtype
    tokens, steps, threads, repeat = map(int, numbers)
    model = load(path, threads, dtype)
    ids = torch.randint(0, model.config.vocab_size, (1, tokens), generator=torch.Generator().manual_seed(1))
    read(model, ids[:, :256])  # what is set up once does not count
    first, rates = [], []
    for _ in range(repeat):
        begin = time.perf_counter()
        token, cache = read(model, ids)
        first.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        decode(model, token, cache, steps)
        rates.append(steps / (time.perf_counter() - begin))
        del cache
    return {"first_token_seconds": min(first), "decode_tokens_per_second": max(rates)}


def go_on(path, steps, threads, *files):
    """Of each file the first token and the continuation."""
    model, tokenizer = load(path, int(threads)), transformers.AutoTokenizer.from_pretrained(path)
    answers = []
    for file in files:
        with open(file, encoding="utf-8") as text:
            ids = tokenizer(text.read(), return_tensors="pt").input_ids
        tokens = decode(model, *read(model, ids), int(steps) - 1)
        answers.append((tokenizer.decode(tokens[:1]), tokenizer.decode(tokens)))
    return {"answers": answers}


def main():
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    with torch.inference_mode():
        result = {"bench": bench, "continue": go_on}[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(result | {"versions": versions}))


if __name__ == "__main__":
    main()
