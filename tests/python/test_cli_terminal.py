"""Widths, help, completion and the manual page; messages written on a terminal."""
import os
import re
import signal
import subprocess
import time

import pytest

from cli_program import MODEL, PROGRAM, environment, error_line, novel, on_terminal, tca

COMMANDS = ["run", "chat", "calibrate", "inspect", "eval", "report", "demo", "bench", "help", "completion"]


def lines_of(text):
    """The lines that stay, without colour: a carriage return with erase takes back what was on the line."""
    return [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", re.split(r"\r\x1b\[K", line)[-1]) for line in text.split("\r\n")]


# ---- widths ----

def deep_profile(tmp_path):
    """32 layers of 8 KV heads, written from nothing."""
    import json
    head = {"keep": [0, 0, 0, 0, 1], "risk_p95": 0, "mean_dropped": 0, "kept_share": 1}
    none = {"keep": [1, 0, 0, 0, 0], "risk_p95": 0, "mean_dropped": 0, "kept_share": 0}
    layers = [[head if layer >= 16 else none] * 8 for layer in range(32)]
    path = tmp_path / "deep.json"
    path.write_text(json.dumps({
        "format": "tca-profile/2",
        "model": {"architecture": "LlamaForCausalLM", "num_layers": 32, "num_heads": 32, "num_kv_heads": 8,
                  "head_dim": 128, "rope": "default theta=10000", "vocab_size": 32000, "weights_sha256": "0" * 64},
        "rule": {"block_size": 8, "window": 256, "sinks": 4, "probe_queries": 32, "pool_width": 7, "order": "simpson"},
        "provenance": {"text_sha256": "", "calibration_tokens": 1, "seed": 1, "version": "0.1.0", "date": "2026-01-31"},
        "budgets": [{"objective": "tail-risk", "budget": 0.5, "kept_share": 0.5, "layers": layers}]}))
    return path


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_help_is_as_wide_as_the_terminal(columns):
    for arguments in [["--help"], *([command, "--help"] for command in COMMANDS)]:
        text, code = on_terminal(arguments, columns=columns)
        assert code == 0
        widths = [len(line) for line in lines_of(text)]
        assert max(widths) <= columns, arguments
    # What there is room for is not broken.
    text, _ = on_terminal(["run", "--help"], columns=columns)
    whole = any("Share of the tokens to keep (default: the profile's, else 0.39); 1: all" in line for line in lines_of(text))
    assert whole == (columns == 200)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_tables_are_as_wide_as_the_terminal(columns, tmp_path):
    for arguments in (["bench", "--ctx", "300", "--attention", "full,tca", "--decode", "2"],
                      ["eval", "--ctx", "600", "--documents", "1", "--questions", "5", "--methods", "full,tca:0.2"],
                      ["demo", "--ctx", "1200", "--questions", "1"], ["inspect", "lookback-28m"],
                      ["inspect", MODEL / "profile.json"], ["inspect", deep_profile(tmp_path)]):
        text, code = on_terminal(arguments, columns=columns)
        assert code == 0, text
        # A path or a hash is not broken: it is a word.
        label = 20  # columns at most, beside a path or a hash
        too_wide = [line for line in lines_of(text)
                    if len(line) > max([columns, *(len(word) + label for word in line.split())])]
        assert not too_wide, arguments


def test_a_wide_table_is_one_a_narrow_one_is_two():
    arguments = ["bench", "--ctx", "300", "--attention", "full", "--decode", "2"]
    headers = {columns: sum("tokens" in line and "attention" in line for line in lines_of(on_terminal(arguments, columns=columns)[0]))
               for columns in (60, 200)}
    assert headers == {60: 2, 200: 1}


def test_many_layers_are_shown_in_ranges(tmp_path):
    text = tca("inspect", deep_profile(tmp_path)).stdout.decode()
    assert "kept by 4 layers" in text and "  0   0   0   0 100 100 100 100" in text


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"TERM": "xterm", "LC_ALL": "C"}], ids=["dumb", "C"])
def test_plain_ascii(env):
    for arguments in (["inspect"], ["demo", "--ctx", "1200", "--questions", "1"],
                      ["run", "-p", novel(8000).encode("ascii", "ignore").decode(), "-n", "2", "--threads", "1",
                       "--attention", "full"]):
        text, code = on_terminal(arguments, env=environment(**env))
        assert code == 0 and text.isascii(), [line for line in lines_of(text) if not line.isascii()]
    assert "\u2500" in tca("bench", "--ctx", "300", "--attention", "full", "--decode", "1").stdout.decode()


# ---- help, suggestions, completion, manual page ----

def test_help_command():
    assert tca("help").stdout == tca("--help").stdout
    for command in COMMANDS:
        assert tca("help", command).stdout == tca(command, "--help").stdout
    assert "did you mean 'run'?" in error_line(tca("help", "rnu"), 2)


def test_version_has_a_short_name():
    assert tca("-V").stdout == tca("--version").stdout


@pytest.mark.parametrize("arguments, part", [
    (["rnu", "-p", "x"], "unknown command 'rnu'; did you mean 'run'?"),
    (["inspekt"], "unknown command 'inspekt'; did you mean 'inspect'?"),
    (["--verison"], "unknown option '--verison'; did you mean '--version'?"),
    (["run", "--kep", "0.2"], "unknown option '--kep'; did you mean '--keep'?"),
    (["run", "-p", "x", "--max-token=3"], "unknown option '--max-token'; did you mean '--max-tokens'?"),
    (["bench", "--temperature", "1"], "unknown option '--temperature' (see tca bench --help)"),
    (["fly"], "unknown command 'fly' (see tca --help)")], ids=lambda value: " ".join(value)[:30])
def test_did_you_mean(arguments, part):
    assert part in error_line(tca(*arguments), 2)


def complete_in_bash(line, script):
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    code = (f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _tca; "
            'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "--norc", "-c", code], capture_output=True, timeout=20, check=False,
                          cwd=script.parent)
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    return done.stdout.decode().split()


def complete_in_fish(line, script):
    done = subprocess.run(["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"], capture_output=True,
                          timeout=20, check=False, cwd=script.parent, env=environment(HOME=str(script.parent)))
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    return [entry.split("\t")[0] for entry in done.stdout.decode().splitlines()]


def complete_in_zsh(line, script):
    """A shell on a terminal, as zsh completes nowhere else; what it offers stands between two marks."""
    code = f"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1=READY; autoload -Uz compinit; compinit -u -d {script.parent}/dump; source {script}'
zpty -w z 'zstyle ":completion:*" list-prompt ""; zstyle ":completion:*" menu no; LISTMAX=0; COLUMNS=200; LINES=400'
zpty -w z 'bindkey "^I" list-choices; setopt no_list_beep; print -r MARK""ED'
zpty -r z output '*MARKED*'
zpty -n -w z $'{line}\t\\C-uprint -r DO""NE\n'
zpty -r z output '*DONE*'
print -r -- $output
zpty -d z
"""
    done = subprocess.run(["zsh", "-f", "-c", code], capture_output=True, timeout=60, check=False, cwd=script.parent,
                          env=environment(HOME=str(script.parent), TERM="xterm"))
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", " ", done.stdout.decode()).split()


SHELLS = {"bash": complete_in_bash, "fish": complete_in_fish, "zsh": complete_in_zsh}


@pytest.mark.parametrize("shell", SHELLS)
def test_completion(shell, tmp_path):
    script = tmp_path / "completion"
    script.write_bytes(tca("completion", shell).stdout)
    (tmp_path / "report.txt").touch()
    (tmp_path / "models").mkdir()

    def complete(line):
        return SHELLS[shell](line, script)

    assert set(COMMANDS) <= set(complete("tca "))
    assert [word for word in complete("tca ca") if word in COMMANDS] in (["calibrate"], [])
    options = complete("tca run --")
    assert {"--keep", "--prompt-file", "--certify", "--help"} <= set(options)
    assert "--methods" not in options and "--methods" in complete("tca eval --")
    devices = complete("tca bench --device ")
    assert {"auto", "cpu", "cuda", "reference"} <= set(devices)
    assert any(word.startswith("report.txt") for word in complete("tca run -f "))
    assert any(word.startswith("models") for word in complete("tca run -m "))
    assert {"bash", "zsh", "fish"} <= set(complete("tca completion "))
    assert {"run", "bench"} <= set(complete("tca help "))


def test_manual_page(tmp_path):
    page = tmp_path / "tca.1"
    page.write_bytes(tca("completion", "man").stdout)
    checked = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, timeout=60, check=False,
                             env=environment(MANWIDTH="80", LC_ALL="C.UTF-8", MANPAGER="cat"))
    text = re.sub(r".\x08", "", checked.stdout.decode())
    assert checked.returncode == 0 and checked.stderr == b"", checked.stderr
    for command in COMMANDS:
        assert f"tca {command}" in text
    for part in ("--prompt-file FILE...", "EXIT STATUS", "TCA_MODELS", "Share of the tokens to keep"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80


# ---- messages on a terminal ----

def history_of(keys, tmp_path, env=None, columns=100):
    """The messages that were sent, one by one, as keys came; each is answered by one token."""
    path = tmp_path / "history"
    send = [(rb"> ", keys), (rb"\[[\d,]+ tokens", b"/quit\r")]
    text, code = on_terminal(["chat", "-n", "1", "--history", path], send=send, env=env, columns=columns)
    assert code == 0, text
    messages = [line.replace("\\n", "\n").replace("\\\\", "\\") for line in path.read_text().splitlines()]
    assert messages[-1] == "/quit"
    return messages[:-1], text


PASTE, PASTED = b"\x1b[200~", b"\x1b[201~"


def test_a_paste_of_several_lines_is_one_message(tmp_path):
    messages, _ = history_of(PASTE + b"first line\r\nsecond line\rthird line" + PASTED + b"\r", tmp_path)
    assert messages == ["first line\nsecond line\nthird line"]


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_a_long_line_is_not_cut(term, tmp_path):
    line = "".join(f"{i}é" + "-" * 96 for i in range(120))  # few tokens, so that the model has little to read
    assert len(line.encode()) > 4095 * 2
    typed = line.encode() if term == "dumb" else PASTE + line.encode() + PASTED
    messages, _ = history_of(typed + b"\r", tmp_path, env=environment(TERM=term))
    assert messages == [line]


KEYS = {
    "cursor keys": (b"wrld\x1b[D\x1b[D\x1b[Do\x1b[C\x1b[C\x1b[Cs", "worlds"),
    "home and end": (b"bc\x1b[Ha\x1b[Fd\x01X\x05Y", "XabcdY"),
    "backspace and delete": (b"axb\x1b[D\x7f\x1b[3~c", "ac"),
    "kill and yank": (b"one two\x17three \x19", "one three two"),
    "kill line": (b"wrong\x15right", "right"),
    "kill to end": (b"right wrong\x1b[1;5D\x1b[D\x0b", "right"),
    "wide characters": ("日本x\x7f\x1b[D語".encode(), "日語本"),
    "new line": (b"one\x1b\rtwo", "one\ntwo"),
    "up in a message": (b"one\x1b\rtwo\x1b[Ax", "onex\ntwo"),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys(name, tmp_path):
    keys, message = KEYS[name]
    assert history_of(keys + b"\r", tmp_path)[0] == [message]


def test_history_comes_back_with_the_arrow_keys(tmp_path):
    path = tmp_path / "history"
    path.write_text("older\nnewer\n")
    send = [(rb"> ", b"draft\x1b[A\x1b[A\x1b[B\x1b[B\x1b[A\x1b[A!\r"), (rb"\[[\d,]+ tokens", b"\x1b[A?\r"),
            (rb"\[[\d,]+ tokens", b"/quit\r")]
    text, code = on_terminal(["chat", "-n", "1", "--history", path], send=send)
    assert code == 0, text
    assert path.read_text().splitlines() == ["older", "newer", "older!", "older!?", "/quit"]


def test_history_is_kept_nowhere_unless_asked(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    _, code = on_terminal(["chat", "-n", "1"], env=environment(TERM="xterm", HOME=str(home)),
                          send=[(rb"> ", b"secret\r"), (rb"tokens/s\]", b"\x04")])
    assert code == 0 and list(home.iterdir()) == []


def test_what_is_typed_while_an_answer_is_written_is_not_lost(tmp_path):
    path = tmp_path / "history"
    line = "-" * 6000  # tokens are 32 of them
    keys = b"first\r" + PASTE + b"second\rline" + PASTED + b"\r" + PASTE + line.encode() + PASTED + b"\r/quit\r"
    _, code = on_terminal(["chat", "-n", "40", "--history", path], send=[(rb"> ", keys)])
    assert code == 0
    assert path.read_text().splitlines() == ["first", "second\\nline", line, "/quit"]


def test_a_terminal_that_only_writes_on(tmp_path):
    path = tmp_path / "history"
    send = [(rb"> ", "größex".encode()), ("größex".encode(), b"\x7f"), (rb"\x08 \x08", b"!\r"),
            (rb"\[[\d,]+ tokens", b"/quit\r")]
    text, code = on_terminal(["chat", "-n", "1", "--history", path], send=send, env=environment(TERM="dumb"))
    assert code == 0 and path.read_text() == "größe!\n/quit\n"
    assert "\x1b" not in text and "größex\b \b!" in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_gives_the_terminal_back(number):
    def kill(program):
        os.kill(program.pid, number)

    send = [(rb"> ", kill)]
    if number == signal.SIGINT:
        send.append((rb"Ctrl-C again", kill))
    _, code = on_terminal(["chat"], send=send)
    assert code == -number


def test_ctrl_c_twice_while_an_answer_is_written(tmp_path):
    form = tmp_path / "form.jinja"  # plain text, which goes on and on
    form.write_text("{% for m in messages %}{{ m.content }} {% endfor %}")
    arguments = ["chat", "-n", "100000", "--temperature", "1", "--ctx", "100000", "--min-p", "0.1", "--chat-template", form]
    # The second comes before the answer has stopped, and kills, or after it: then the conversation is left.
    send = [(rb"> ", b"Tell me everything\r"), (rb"everything[^\n]*\n(.*\r\x1b\[K)?[^\r\x1b]{20}", b"\x03\x03"),
            (rb"stopped; ", b"\x04")]
    _, code = on_terminal(arguments, send=send)
    assert code in (0, -signal.SIGINT)


def test_suspended_and_going_on(tmp_path):
    """Ctrl-Z gives the terminal back, and what was written so far is there again afterwards."""
    path = tmp_path / "history"

    def go_on(program):
        deadline = time.monotonic() + 10
        while program.state() != "T" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert program.state() == "T"
        os.kill(program.pid, signal.SIGCONT)

    send = [(rb"> ", b"half"), (rb"half", b"\x1a"), (rb"\x1b\[\?2004l", go_on), (rb"> \x1b\[0mhalf", b" whole\r"),
            (rb"\[[\d,]+ tokens", b"\x04")]
    text, code = on_terminal(["chat", "-n", "1", "--history", path], send=send)
    assert code == 0, text
    assert path.read_text() == "half whole\n"


def test_ctrl_d_ends_only_an_empty_message(tmp_path):
    messages, _ = history_of(b"abc\x1b[D\x04d\r", tmp_path)
    assert messages == ["abd"]
    text, code = on_terminal(["chat"], send=[(rb"> ", b"\x04")])
    assert code == 0 and text.removesuffix("\x1b[?2004l").endswith("\r\n")
