"""What --json prints is what docs/cli.md says, field by field, in both directions."""
import json
import re

import pytest

from cli_program import MODEL, NOVEL, ROOT, novel, tca, tca_json

DOCUMENT = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def tables():
    """Heading or caption -> {field: type} of every field table in the document."""
    found, title = {}, ""
    for line in DOCUMENT.splitlines():
        if line.startswith("## "):
            title = line.removeprefix("## ")
        elif line.startswith("JSON of "):
            title = line.removesuffix(":")
        elif re.fullmatch(r"(model|attention|read|kv|memory|fingerprint|budget|score|demo run)(:.*)?", line):
            title = "object " + line.split(":")[0]
        elif match := re.fullmatch(r"\| (`.+`) \| (.+?) \| .*\|", line):
            if match[2] != "what it does":
                for field in re.findall(r"`([^`]+)`", match[1]):
                    found.setdefault(title, {})[field] = match[2]
    return found


TABLES = tables()


def expand(fields):
    """Documented paths, shared objects written out. Lists of shared objects say 'of [object]' in their meaning."""
    paths = {}
    for field, kind in fields.items():
        if match := re.fullmatch(r"\[(.+)\]\(#objects\)", kind):
            for inner, inner_kind in expand(TABLES["object " + match[1]]).items():
                paths[f"{field}.{inner}"] = inner_kind
        else:
            paths[field] = kind
    return paths


def flatten(value, path=""):
    """Every leaf of an object with its path; lists are [] and empty objects are leaves."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flatten(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        yield path, value
        for inner in value:
            if isinstance(inner, (dict, list)):
                yield from flatten(inner, path + "[]")
    else:
        yield path, value


CHECKS = {
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "list": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
    "null": lambda v: v is None,
}


def check(result, fields, optional=()):
    """Every leaf is documented and of its type; every documented leaf is there, but for the optional."""
    documented = expand(fields)
    seen = set()
    for path, value in flatten(result):
        if isinstance(value, list) and path.endswith("[]"):
            continue  # the inner list of a documented list of lists
        assert path in documented, f"{path} is not documented"
        kinds = documented[path].split(" or ")
        assert any(CHECKS[kind](value) for kind in kinds), f"{path} is {value!r}, not {documented[path]}"
        seen.add(path)
    missing = {path for path, kind in documented.items() if path not in seen and not kind.startswith("object")}
    missing = {path for path in missing if not path.startswith(tuple(optional) or "\0")}
    assert not missing, f"documented but not there: {sorted(missing)}"


def with_budgets(fields):
    return {**fields, **{f"budgets[].{k}": v for k, v in TABLES["object budget"].items()}}


def test_run(profile):
    result = tca_json("run", "-p", novel(12000), "-q", "Who is he?", "--profile", profile, "--attention", "tca",
                      "--certify", "-n", "4")
    check(result, TABLES["tca run"])
    assert result["read"]["sparse"] and result["kv"]["bytes"] < result["kv"]["full_bytes"]
    assert result["kv"]["full_bytes"] > 0 and 0 < result["kv"]["kept_share"] < 1
    assert result["kv"]["tokens"] >= result["prompt_tokens"]
    assert len(result["certificate"]["layers"]) == 8 and len(result["certificate"]["layers"][0]) == 4
    for head in result["certificate"]["layers"][0]:
        assert 0 <= head["mean_delta"] <= head["max_delta"] <= 1 and head["p95_delta"] <= head["max_delta"]
        assert head["output_norm"] > 0
        assert head["bound_share"] == pytest.approx(head["bound"] / head["output_norm"])
    assert result["memory"]["peak_bytes"] > result["memory"]["weight_bytes"] / 2 > 0
    assert result["stop"] in ("stop_token", "max_tokens")


def test_run_with_int8_weights():
    stored, int8 = (tca_json("run", "-p", novel(2000), "-n", "3", "--weights", weights) for weights in ("stored", "int8"))
    check(int8, TABLES["tca run"], optional=["certificate."])
    assert stored["model"]["weights"] == "stored" and int8["model"]["weights"] == "int8"
    # 27.5 million weights in bf16; in int8 the 8.4 MB of the embedding stay beside its copy for the output.
    assert int8["model"]["weight_bytes"] < 0.7 * stored["model"]["weight_bytes"]
    assert int8["memory"]["weight_bytes"] == int8["model"]["weight_bytes"]
    again = tca_json("run", "-p", novel(2000), "-n", "3", "--weights", "int8", "--threads", "1")
    assert again["text"] == int8["text"]


def test_run_full():
    result = tca_json("run", "-p", novel(2000), "--attention", "full", "-n", "3")
    check(result, TABLES["tca run"], optional=["certificate."])
    assert result["certificate"] is None and result["attention"]["profile"] is None
    assert not result["read"]["sparse"] and result["read"]["density"] == 1
    assert result["kv"]["kept_share"] == 1 and result["generated_tokens"] <= 3


def test_chat(tmp_path):
    document = tmp_path / "novel.txt"
    document.write_text(novel(4000))
    result = tca_json("chat", "-d", document, "--save", tmp_path / "talk.chat", "-n", "3",
                      stdin=b"Who is he?\nWhere is he?\n")
    check(result, TABLES["tca chat"], optional=["turns[].error", "error."])
    assert [turn["message"] for turn in result["turns"]] == ["Who is he?", "Where is he?"]
    assert result["saved"] == str(tmp_path / "talk.chat")


def test_chat_turn_that_fails(tmp_path):
    done = tca("chat", "-n", "3", "--ctx", "512", "--json", stdin=novel(8000).replace("\n", " ").encode() + b"\nHi\n")
    assert done.returncode == 1
    turns = json.loads(done.stdout)["turns"]
    assert turns[0]["error"]["category"] == "invalid_argument" and turns[1]["message"] == "Hi"


def test_calibrate(tmp_path):
    result = tca_json("calibrate", "-t", NOVEL, "-o", tmp_path / "p.json", "--tokens", "1024", "--sequences", "1",
                      "--budgets", "0.5", "--no-facts", "--objective", "tail-risk,paper")
    check(result, with_budgets(TABLES["tca calibrate"]), optional=["answer_risk."])
    assert result["calibration_tokens"] == 1024
    assert {budget["objective"] for budget in result["budgets"]} == {"tail-risk", "paper"}
    assert result["answer_risk"] is None


def test_inspect_model():
    result = tca_json("inspect", "lookback-28m")
    check(result, TABLES["JSON of a model"])
    assert result["num_layers"] == 8 and result["max_position"] == 131072 and result["chat_template"] == "tokenizer_config.json"
    assert result["kv_bytes_per_token"] == 8 * 4 * 64 * 2 * 2


def test_inspect_model_with_a_form_that_cannot_be_used(tmp_path):
    for file in MODEL.iterdir():
        if file.is_file():
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / "chat_template.jinja").write_text("{% for m in messages %}<|im_begin|>{{ m.content }}{% endfor %}")
    result = tca_json("inspect", tmp_path)
    check(result, TABLES["JSON of a model"])
    assert result["chat_template"] is None and "<|im_begin|>" in result["chat_template_problem"]


def test_tokenize():
    result = tca_json("tokenize", "--text", "Hello")
    check(result, TABLES["tca tokenize"])


def test_inspect_profile(profile):
    result = tca_json("inspect", profile)
    check(result, with_budgets(TABLES["JSON of a profile"]), optional=["default.", "answer_risk."])
    assert len(result["budgets"]) == 6 and result["default"] is None
    check(tca_json("inspect", ROOT / "models" / "lookback-28m" / "profile.json"),
          with_budgets(TABLES["JSON of a profile"]), optional=["answer_risk."])
    for budget in result["budgets"]:
        assert sum(budget["kept_by_layer"]) / 8 == pytest.approx(budget["kept_share"], abs=1e-6)


def test_inspect_session(profile, tmp_path):
    saved = tmp_path / "talk.chat"
    tca_json("chat", "--save", saved, "-n", "3", "--profile", profile, "--attention", "tca",
             stdin=novel(12000).replace("\n", " ").encode() + b"\n")
    result = tca_json("inspect", saved)
    check(result, TABLES["JSON of a saved session"])
    assert result["objective"] == "tail-risk" and 0 < result["kept_share"] < 1
    assert len(result["tokens_kept"]) == 8 and len(result["tokens_kept"][0]) == 4
    assert max(map(max, result["tokens_kept"])) <= result["tokens"]


def test_inspect_session_saved_without_a_profile(tmp_path):
    for name, arguments in (("full", ["--attention", "full"]), ("all", ["--keep", "1"])):
        saved = tmp_path / name
        tca_json("chat", "--save", saved, "-n", "3", *arguments, stdin=b"Hello\n")
        result = tca_json("inspect", saved)
        check(result, TABLES["JSON of a saved session"])
        assert result["objective"] is None and result["kept_share"] == 1
        assert b"full, everything kept" in tca("inspect", saved).stdout


def test_eval(profile):
    result = tca_json("eval", "--ctx", "2048", "--documents", "1", "--questions", "3", "--methods", "full,tca:0.4", "--nll",
                      "--profile", profile)
    fields = dict(TABLES["tca eval"])
    for named_after_what_was_planted in ("methods[].kinds", "methods[].survival.kinds"):
        del fields[named_after_what_was_planted]
    for method in result["methods"]:
        kinds = method.pop("kinds")
        assert kinds and all(set(score) == set(TABLES["object score"]) for score in kinds.values())
        method["survival"].pop("kinds")
    check(result, fields)
    assert [method["method"] for method in result["methods"]] == ["full", "tca:0.4"]
    assert result["methods"][0]["total"]["questions"] == 3


def test_eval_from(tmp_path):
    question = {"question": "Who is he?", "answers": ["Michael"]}
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(json.dumps({"context": novel(1000), "questions": [question]}))
    result = tca_json("eval", "--from", tasks, "--methods", "full,window:0.5")
    fields = dict(TABLES["JSON of tasks from files"])
    for named_after_tasks in ("methods[].tasks", "methods[].survival.tasks"):
        del fields[named_after_tasks]
    for method in result["methods"]:
        assert method.pop("tasks") == {"tasks": method["total"]}
        method["survival"].pop("tasks")
    check(result, fields)


def test_tables_fit_100_columns():
    for arguments in (["bench", "--ctx", "300", "--attention", "full", "--decode", "2"],
                      ["eval", "--ctx", "600", "--documents", "1", "--questions", "5", "--methods", "full"],
                      ["inspect"]):
        done = tca(*arguments)
        assert done.returncode == 0 and done.stderr == b""
        assert max(map(len, done.stdout.decode().splitlines())) <= 100


def test_headings_count_one_and_several():
    arguments = ["--methods", "full", "--documents", "1"]
    one = tca("eval", "--ctx", "300", "--questions", "1", *arguments).stdout.decode()
    assert one.startswith("1 document of 300 tokens, 1 question each, asked after tokens were dropped\n"), one
    two = tca("eval", "--ctx", "300", "--questions", "2", *arguments).stdout.decode()
    assert two.startswith("1 document of 300 tokens, 2 questions each, asked "), two


def test_report(profile, tmp_path):
    answers, result, page = tmp_path / "answers.jsonl", tmp_path / "result.json", tmp_path / "report.html"
    result.write_text(json.dumps(tca_json("eval", "--ctx", "600", "--documents", "1", "--questions", "2", "--methods",
                                          "full,window:0.1", "--answers", answers)))
    report = tca_json("report", result, "--answers", answers, "--profile", profile, "-o", page)
    check(report, TABLES["tca report"])
    assert report["output"] == str(page) and report["bytes"] == page.stat().st_size
    assert report["results"][0]["longest_document"] == 600 and report["answers"][0]["questions"] == 2


def test_demo(profile):
    result = tca_json("demo", "--ctx", "2048", "--questions", "3", "--profile", profile)
    check(result, TABLES["tca demo"])
    assert len(result["facts"]) == 3 and result["document_tokens"] == 2048
    right = sum(fact["full"]["right"] for fact in result["facts"])
    assert result["full"]["right"] == right
    both = sum(fact["full"]["right"] and fact["tca"]["right"] for fact in result["facts"])
    assert result["comparison"]["answers_lost"] == right - both


def test_bench(profile):
    result = tca_json("bench", "--ctx", "512,1024", "--attention", "full,tca", "--decode", "4", "--repeat", "2",
                      "--profile", profile)
    check(result, TABLES["tca bench"])
    assert [(row["ctx"], row["mode"]) for row in result["rows"]] == [
        (512, "full"), (512, "tca"), (1024, "full"), (1024, "tca")]
    for row in result["rows"]:
        assert row["read"]["tokens"] == row["ctx"] and row["kv"]["tokens"] == row["ctx"] + 4
        assert row["first_token_seconds"] == min(row["first_token_seconds_all"])
        assert len(row["first_token_seconds_all"]) == 2
