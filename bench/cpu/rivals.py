"""What bench/cpu/end_to_end.py measures: each gives a row {first_token_seconds, decode_tokens_per_second, peak_bytes}.

Up to 2,048 tokens the fastest of three runs counts, one run beyond."""
import json
import pathlib
import re

from process import Failed, run

HERE = pathlib.Path(__file__).resolve().parent
FLASH = (0, 1)
UBATCHES = (512, 2048)
HOPELESS = 1.5  # times the fastest setting: one slower than that is not tried at greater lengths


def repeats(tokens):
    return 3 if tokens <= 2048 else 1


class Rival:
    """`last` is (tokens, first_token_seconds) of the row before, which says whether the next fits the limit."""

    def __init__(self, args):
        self.args, self.versions, self.last, self.others = args, {}, {}, 0

    def check_time(self, tokens, setting=None):
        """Attention grows with the square of the length, all else less."""
        if setting not in self.last:
            return
        before, seconds = self.last[setting]
        guess = seconds * (tokens / before) ** 2
        if guess > self.args.seconds_per_row:
            raise Failed(f"left out: {guess:.0f} s guessed from {before} tokens")

    def run(self, command):
        """A guess leaves out loading, decoding and the repeats."""
        done = run(command, 4 * self.args.seconds_per_row + 120)
        self.others = max(self.others, done.others)
        return done


class Tca(Rival):
    def __init__(self, args, mode):
        super().__init__(args)
        self.mode, self.name = mode, f"tca, {mode}"

    def missing(self):
        """None, or why it cannot be measured."""
        return None if pathlib.Path(self.args.tca).exists() else f"no program {self.args.tca}"

    def row(self, tokens):
        self.check_time(tokens)
        done = self.run([self.args.tca, "bench", "--device", "cpu", "--model", self.args.model, "--ctx", tokens,
                         "--attention", self.mode, "--decode", self.args.decode, "--threads", self.args.threads,
                         "--repeat", repeats(tokens), "--json"])
        result = json.loads(done.output)
        model = result["model"]
        self.versions = {"tca": result["version"], "isa": result["isa"], "block_products": model["block_products"],
                         "row_products": model["row_products"], "kv": model["kv"]}
        row = result["rows"][0]
        self.last[None] = tokens, row["first_token_seconds"]
        return {"first_token_seconds": row["first_token_seconds"],
                "decode_tokens_per_second": row["decode_tokens_per_second"], "kv_bytes": row["kv"]["bytes"],
                "peak_bytes": row["memory"]["peak_bytes"]}


class Transformers(Rival):
    def __init__(self, args, dtype):
        super().__init__(args)
        self.dtype, self.name = dtype, "Transformers" if dtype == "bfloat16" else f"Transformers, {dtype}"

    def missing(self):
        try:
            run([self.args.python, "-c", "import torch, transformers"], 300)
        except Failed as error:
            return f"{self.args.python}: {error}"
        return None

    def row(self, tokens):
        self.check_time(tokens)
        done = self.run([self.args.python, HERE / "transformers_worker.py", "bench", self.args.model, tokens,
                         self.args.decode, self.args.threads, repeats(tokens), self.dtype])
        row = json.loads(done.output.splitlines()[-1])
        self.versions = row.pop("versions")
        self.last[None] = tokens, row["first_token_seconds"]
        return row | {"peak_bytes": done.peak_bytes}


class Llama(Rival):
    """llama-bench with flash attention off and on and two micro-batches; the fastest prompt and the fastest decoding
    count, whether or not they come from the same setting."""
    name = "llama.cpp"

    def missing(self):
        if self.args.llama_bench is None:
            return "no --llama-bench"
        try:
            run([self.args.llama_bench, "--help"], 60)
            if not pathlib.Path(self.args.gguf).exists():
                run([self.args.python, HERE / "to_gguf.py", self.args.gguf, "--model", self.args.model], 300)
        except Failed as error:
            return str(error)
        return None

    def bench(self, tokens, flash, ubatch, *what):
        """(llama-bench's object, peak bytes). Settings have a process each: one that runs out of memory ends alone."""
        done = self.run([self.args.llama_bench, "-m", self.args.gguf, "-dev", "none", "-t", self.args.threads, "-fa",
                         flash, "-b", 2048, "-ub", ubatch, "-r", repeats(tokens), "--no-warmup", "-o", "json", *what])
        result = json.loads(done.output)[0]
        variant = re.search(r"libggml-cpu-?(\w*)\.so", done.errors)
        self.versions = {"llama.cpp": f"{result['build_number']} ({result['build_commit']})",
                         "cpu_backend": variant.group(1) if variant else "", "backends": result["backends"]}
        return result, done.peak_bytes

    def prompts(self, tokens):
        """([{flash, ubatch, first_token_seconds, peak_bytes}], [why others are missing])."""
        found, failed = [], []
        fastest = min((seconds for _, seconds in self.last.values()), default=None)
        for flash, ubatch in [(flash, ubatch) for flash in FLASH for ubatch in UBATCHES]:
            setting = flash, ubatch
            if fastest is not None and self.last.get(setting, (0, float("inf")))[1] > HOPELESS * fastest:
                continue
            try:
                self.check_time(tokens, setting)
                result, peak = self.bench(tokens, flash, ubatch, "-p", tokens, "-n", 0)
            except Failed as error:
                failed.append(f"flash {flash}, ubatch {ubatch}: {error}")
                continue
            found.append({"flash": flash, "ubatch": ubatch, "first_token_seconds": min(result["samples_ns"]) * 1e-9,
                          "peak_bytes": peak})
        return found, failed

    def decodes(self, tokens, prompts):
        """The same of decoding, each flash with its fastest micro-batch."""
        found, failed = [], []
        for flash in FLASH:
            of_flash = [prompt for prompt in prompts if prompt["flash"] == flash]
            if not of_flash:
                continue
            ubatch = min(of_flash, key=lambda prompt: prompt["first_token_seconds"])["ubatch"]
            try:
                result, peak = self.bench(tokens, flash, ubatch, "-p", 0, "-n", self.args.decode, "-d", tokens)
            except Failed as error:
                failed.append(f"decoding, flash {flash}, ubatch {ubatch}: {error}")
                continue
            found.append({"flash": flash, "ubatch": ubatch, "peak_bytes": peak,
                          "decode_tokens_per_second": self.args.decode / (min(result["samples_ns"]) * 1e-9)})
        return found, failed

    def row(self, tokens):
        prompts, failed = self.prompts(tokens)
        if not prompts:
            raise Failed("; ".join(failed))
        self.last = {(prompt["flash"], prompt["ubatch"]): (tokens, prompt["first_token_seconds"]) for prompt in prompts}
        decodes, failed_decodes = self.decodes(tokens, prompts)
        prompt = min(prompts, key=lambda run: run["first_token_seconds"])
        row = {"first_token_seconds": prompt["first_token_seconds"], "peak_bytes": prompt["peak_bytes"],
               "prompts": prompts, "decodes": decodes, "failures": failed + failed_decodes}
        if decodes:
            row["decode_tokens_per_second"] = max(run["decode_tokens_per_second"] for run in decodes)
        return row


def all_of(args):
    return [Tca(args, "full"), Tca(args, "tca"), Transformers(args, "bfloat16"), Transformers(args, "float32"),
            Llama(args)]
