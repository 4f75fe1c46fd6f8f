"""tca eval with natural facts: what it asks, what it counts and what it writes."""
import json

import pytest

from cli_program import ROOT, error_line, tca, tca_json

SMOLLM2 = ROOT / ".cache" / "smollm2-135m-instruct"
NATURAL = ["eval", "--facts", "natural", "--ctx", "1024", "--documents", "2", "--questions", "8"]
KINDS = {"person", "place", "quantity", "date", "reason", "thing", "job", "phrase"}


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_natural_facts_need_no_text(tmp_path):
    path = tmp_path / "answers.jsonl"
    result = tca_json(*NATURAL, "--methods", "full,window:0.2", "--answers", path)
    assert (result["facts"], result["questions"], result["text"], result["ask"]) == ("natural", 8, None, "later")
    lines = lines_of(path)
    assert len(lines) == 2 * 2 * 8
    for method in result["methods"]:
        own = [line for line in lines if line["method"] == method["method"]]
        assert set(own[0]) == {"method", "document", "kind", "question", "expected", "generated", "found"}
        assert sum(line["found"] for line in own) == method["total"]["found"]
        assert {line["kind"] for line in own} == KINDS == set(method["kinds"])
        assert {line["document"] for line in own} == {0, 1}
    full, window = ([line for line in lines if line["method"] == name] for name in ("full", "window:0.2"))
    assert [(line["question"], line["expected"]) for line in full] == [
        (line["question"], line["expected"]) for line in window]
    survival = result["methods"][1]["survival"]
    assert survival["found"] == sum(line["found"] for line in full)
    assert survival["survived"] == sum(a["found"] and b["found"] for a, b in zip(full, window))
    assert 0 <= survival["low"] <= survival["share"] <= survival["high"] <= 1
    assert result["methods"][0]["survival"]["share"] == 1


def test_natural_facts_in_a_text_asked_first():
    result = tca_json(*NATURAL, "--text", "michael-armstrong.txt", "--methods", "full", "--ask", "first")
    assert (result["text"], result["ask"]) == ("michael-armstrong.txt", "first")
    assert result["methods"][0]["total"]["questions"] == 16


def test_without_full_nothing_is_said_of_its_answers():
    result = tca_json(*NATURAL, "--methods", "window:0.5")
    assert result["methods"][0]["survival"] is None


def test_other_works_methods_free_the_same_bytes():
    names = ["snapkv:0.3", "pyramidkv:0.3", "adakv:0.3", "expected-attention:0.3", "adakv-ea:0.3", "duo:0.3"]
    methods = tca_json("eval", "--ctx", "1024", "--documents", "1", "--questions", "2", "--methods",
                       ",".join(["full", *names]))["methods"]
    full, *others = methods
    assert [method["method"] for method in others] == names
    for method in others:
        assert abs(method["kept_share"] - 0.3) < 1e-3 and method["density"] == 1
        assert 0.3 <= method["kv_bytes"] / full["kv_bytes"] < 0.4, "whole pages of 64 tokens"


def test_forms_of_methods_are_listed():
    line = error_line(tca("eval", "--methods", "full,kvzap:0.3"), 1)
    assert "'kvzap:0.3'" in line and "snapkv, pyramidkv, adakv, expected-attention, adakv-ea or duo with :SHARE" in line


def test_tables_name_what_survives():
    done = tca("eval", "--ctx", "1024", "--documents", "1", "--questions", "5", "--methods", "full,window:0.2")
    assert done.returncode == 0
    text = done.stdout.decode()
    assert "of full's answers" in text and "worst kind" in text and "95 % interval" in text


def test_answers_are_not_written_over(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text("mine\n")
    line = error_line(tca(*NATURAL, "--answers", path), 1)
    assert str(path) in line and "--force" in line and path.read_text() == "mine\n"
    assert "/no/such/dir" in error_line(tca(*NATURAL, "--answers", "/no/such/dir/a.jsonl"), 1)
    done = tca("eval", "--facts", "natural", "--ctx", "600", "--documents", "1", "--questions", "1", "--methods", "full",
               "--answers", path, "--force")
    assert done.returncode == 0 and len(lines_of(path)) == 1


def test_demo_asks_for_natural_facts(profile):
    result = tca_json("demo", "--facts", "natural", "--questions", "3", "--ctx", "2048", "--profile", profile)
    assert result["text"] == "a built-in text" and {fact["kind"] for fact in result["facts"]} <= KINDS


@pytest.mark.skipif(not SMOLLM2.exists(), reason="bench/quality/smollm2.py makes the model")
def test_a_real_model_answers_natural_questions():
    result = tca_json(*NATURAL, "-m", SMOLLM2, "--methods", "full")
    total = result["methods"][0]["total"]
    assert total["found"] >= 0.4 * total["questions"]
