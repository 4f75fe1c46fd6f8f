"""tca eval --from: tasks from files as they are published, with the model of the repository."""
import json

import pytest

from cli_program import error_line, novel, tca, tca_json

NUMBERS = {"amber-falcon": "4815162", "quiet-harbour": "23421", "silver-lantern": "907731"}


def asked(key):
    return f"What is the special magic number for {key} mentioned in the text?"


def page():
    """A page of the novel with the numbers in it, in words that the model knows."""
    text = ""
    for i, (key, number) in enumerate(NUMBERS.items()):
        text += novel(500, 2000 + 500 * i) + f" The special magic number for {key} is: {number}. "
    return text + novel(500, 3500)


def ruler(key, **fields):
    return {"index": 0, "input": f"{page()}\n{asked(key)}", "outputs": [NUMBERS[key]], "length": 700, **fields}


def scbench():
    return {"id": 0, "context": page(),
            "multi_turns": [{"input": asked(key), "answer": number} for key, number in NUMBERS.items()]}


def longbench(domain):
    return {"_id": "1", "domain": domain, "question": asked("amber-falcon"), "choice_A": "1", "choice_B": "4815162",
            "choice_C": "2", "choice_D": "3", "answer": "B", "context": page()}


def own(context=None, task="numbers"):
    return {"context": context or page(), "task": task,
            "questions": [{"question": asked(key), "answers": [number]} for key, number in NUMBERS.items()]}


def write(path, rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_full_attention_answers_and_a_window_does_not(tmp_path):
    answers = tmp_path / "answers.jsonl"
    file = write(tmp_path / "own.jsonl", [own()])
    result = tca_json("eval", "--from", file, "--methods", "full,window:0.1", "--answers", answers)
    assert result["files"] == [{"path": str(file), "documents": 1, "left_out": 0}]
    assert result["documents"] == 1 and result["shortest_document"] == result["longest_document"] > 500
    full, window = result["methods"]
    assert full["total"] == {"questions": 3, "score": 1, "right": 3} == full["tasks"]["numbers"]
    assert full["kept_share"] == 1 and full["survival"]["share"] == 1
    assert window["total"]["score"] == 0 and window["kept_share"] < 0.15 and window["kv_bytes"] < full["kv_bytes"]
    assert window["survival"]["found"] == 3 and window["survival"]["worst_task"] == "numbers"
    assert window["survival"]["tasks"] == {"numbers": {"found": 3, "survived": 0}}
    lines = lines_of(answers)
    assert [line["method"] for line in lines] == ["full"] * 3 + ["window:0.1"] * 3
    assert lines[1] == {"method": "full", "file": str(file), "line": 1, "task": "numbers", "place": 2,
                        "question": asked("quiet-harbour"), "metric": "words", "expected": ["23421"],
                        "generated": "23421", "score": 1}


def test_every_form_of_file_in_one_go(tmp_path):
    files = [write(tmp_path / "niah_single_2" / "validation.jsonl", [ruler("amber-falcon"), ruler("silver-lantern")]),
             write(tmp_path / "scbench_kv.jsonl", [scbench()]), tmp_path / "data.json", write(tmp_path / "o", [own()])]
    files[2].write_text(json.dumps([longbench("Law"), longbench("Code"), longbench("Law")]))
    answers = tmp_path / "answers.jsonl"
    result = tca_json("eval", "--from", *files, "--methods", "full", "--answers", answers)
    assert [file["documents"] for file in result["files"]] == [2, 1, 3, 1] and result["documents"] == 7
    tasks = result["methods"][0]["tasks"]
    assert list(tasks) == ["niah_single_2", "scbench_kv", "Law", "Code", "numbers"]
    for task, questions in (("niah_single_2", 2), ("scbench_kv", 3), ("numbers", 3)):
        assert tasks[task] == {"questions": questions, "score": 1, "right": questions}
    lines = lines_of(answers)
    assert {line["generated"] for line in lines if line["metric"] == "choice"} <= set("ABCD")
    assert [line["line"] for line in lines if line["file"] == str(files[2])] == [1, 2, 3]


def test_the_answers_prefix_is_read_first(tmp_path):
    file = write(tmp_path / "niah_single_1.jsonl", [ruler("amber-falcon", answer_prefix="481")])
    answers = tmp_path / "answers.jsonl"
    tca_json("eval", "--from", file, "--methods", "full", "--answers", answers)
    line = lines_of(answers)[0]
    assert line["generated"] == "5162" and line["score"] == 0 and line["question"] == ""


def test_the_limit_is_of_each_file(tmp_path):
    first, second = (write(tmp_path / name, [own(task=name)] * 2) for name in ("a.jsonl", "b.jsonl"))
    second.write_text(second.read_text() + "what follows is not read\n")
    result = tca_json("eval", "--from", first, second, "--limit", "1", "--methods", "window:0.1")
    assert [file["documents"] for file in result["files"]] == [1, 1]
    assert result["methods"][0]["total"]["questions"] == 6 and result["methods"][0]["survival"] is None


def test_what_is_too_long_is_refused_or_left_out(tmp_path, short_model):
    file = write(tmp_path / "own.jsonl", [own(), own(novel(9000))])
    line = error_line(tca("eval", "-m", short_model, "--from", file, "--methods", "full"), 1)
    assert f"{file}:2 has " in line and " the model goes up to 1,500: --skip-too-long " in line
    done = tca("eval", "-m", short_model, "--from", file, "--methods", "full", "--skip-too-long", "--json")
    assert done.returncode == 0
    note = f"tca: note: {file}: 1 of 2 documents left out, longer than the 1,500 tokens that the model goes up to"
    assert done.stderr.decode().splitlines() == [note]
    result = json.loads(done.stdout)
    assert result["files"] == [{"path": str(file), "documents": 1, "left_out": 1}] and result["documents"] == 1
    only = write(tmp_path / "long.jsonl", [own(novel(9000))])
    line = error_line(tca("eval", "-m", short_model, "--from", only, "--skip-too-long"), 1)
    assert "none of the 1 document fits" in line


def test_tables_of_tasks(tmp_path):
    files = [write(tmp_path / "own.jsonl", [own()]), write(tmp_path / "scbench_kv.jsonl", [scbench()])]
    done = tca("eval", "--from", *files, "--methods", "full,window:0.1")
    assert done.returncode == 0 and done.stderr == b""
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("2 documents of ") and lines[0].endswith(" tokens, 6 questions")
    headers = [line.split() for line in lines if line and not line.startswith(("full", "window"))]
    assert ["mean", "score", "numbers", "scbench_kv"] in headers
    full = [line.split() for line in lines if line.startswith("full")]
    assert len(full) == 2 and full[0][-5:-2] == ["6", "of", "6"] and full[1] == ["full", "1.000", "1.000"]
    assert any(line.startswith("of full's answers") and "worst task" in line for line in lines)
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("content, parts", [
    ("", ["holds no documents"]),
    ("{\n", [":1: ", "not valid JSON"]),
    ('\n{"input": "a", "outputs": []}', [":2: outputs is an array of 0; expected one answer"]),
    ('{"input": 3, "outputs": ["b"]}', [":1: input is 3; expected a string"]),
    ('{"context": "a", "multi_turns": [{"input": "b", "answer": null}]}', [":1: multi_turns[0].answer is missing"]),
    ('[{"context": "a", "questions": [{"question": "q", "answers": ["x"], "metric": "bleu"}]}]',
     [':1: questions[0].metric is "bleu"; expected any, all, words, f1, number or choice']),
    ('{"text": "a"}', [":1: the fields are text; expected outputs (RULER), multi_turns (SCBench), choice_A"]),
    ("[1, 2", [":1: holds something of type number"]),
], ids=str)
def test_files_that_are_none_are_refused_by_field(content, parts, tmp_path):
    path = tmp_path / "tasks.jsonl"
    path.write_text(content)
    # Before any model is looked for.
    line = error_line(tca("eval", "-m", "/no/such/model", "--from", path), 1)
    assert f"{path}" in line
    for part in parts:
        assert part in line, line


def test_files_that_are_not_there(tmp_path):
    assert "/no/such/file" in error_line(tca("eval", "--from", "/no/such/file"), 1)
    assert str(tmp_path) in error_line(tca("eval", "--from", tmp_path), 1)


@pytest.mark.parametrize("options", [
    ["--facts", "codes"], ["--questions", "2"], ["--text", "x"], ["--ctx", "512"], ["--documents", "2"],
    ["--no-distractors"], ["--ask", "later"], ["--nll"], ["--save-documents", "d.jsonl"]], ids=" ".join)
def test_options_of_facts_do_not_go_with_files(options):
    line = error_line(tca("eval", "--from", "x.jsonl", *options), 2)
    assert options[0] in line and "--from" in line


@pytest.mark.parametrize("options", [["--limit", "1"], ["--skip-too-long"]], ids=" ".join)
def test_options_of_files_need_one(options):
    line = error_line(tca("eval", *options), 2)
    assert options[0] in line and "--from" in line


@pytest.mark.parametrize("facts", ["codes", "natural"])
def test_saved_documents_are_the_same_tasks(facts, tmp_path):
    saved, answers, again = tmp_path / "saved.jsonl", tmp_path / "answers.jsonl", tmp_path / "again.jsonl"
    asked_for = ["--facts", facts, "--questions", "5"]
    facts_run = tca_json("eval", "--ctx", "1024", "--documents", "2", *asked_for, "--methods", "full", "--save-documents", saved,
                         "--answers", answers)
    from_file = tca_json("eval", "--from", saved, "--methods", "full", "--answers", again)
    assert from_file["documents"] == 2
    # Texts become tokens again, not always the same ones where sentences were planted between two tokens.
    assert abs(from_file["longest_document"] - 1024) <= 24
    first, second = lines_of(answers), lines_of(again)
    assert [a["question"] for a in first] == [a["question"] for a in second]
    assert [a["kind"] for a in first] == [a["task"] for a in second]
    if facts == "codes":  # which the model knows
        right = from_file["methods"][0]["total"]["right"]
        assert right >= 8 and abs(right - facts_run["methods"][0]["total"]["found"]) <= 1
    error = error_line(tca("eval", "--ctx", "1024", "--documents", "1", "--save-documents", saved), 1)
    assert "--save-documents" in error and "--force" in error
