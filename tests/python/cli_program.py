"""Runs the tca program for the tests of the command line."""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("TCA_PROGRAM", str(ROOT / "build" / "release" / "tca"))
MODEL = ROOT / "models" / "lookback-28m"
NOVEL = ROOT / "examples" / "data" / "michael-armstrong.txt"
TIMEOUT = 120


def environment(**extra):
    """The tests' own terminal and settings must not show through."""
    own = ("NO_COLOR", "TCA_MODELS", "TCA_DATA", "TCA_BACKEND", "LC_ALL", "LC_CTYPE", "LANG", "TERM")
    return {**{k: v for k, v in os.environ.items() if k not in own}, **extra}


def tca(*arguments, stdin=b"", env=None, **options):
    """The finished program: returncode, stdout and stderr as bytes."""
    return subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, env=env or environment(), timeout=TIMEOUT,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **options)


def tca_json(*arguments, stdin=b"", env=None):
    """The one object on standard output of a command that succeeds."""
    done = tca(*arguments, "--json", stdin=stdin, env=env)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def error_line(done, code):
    """The one line that a failed command leaves on standard error."""
    text = done.stderr.decode()
    assert done.returncode == code, f"exit {done.returncode}: {text}"
    lines = text.splitlines()
    assert len(lines) == 1 and lines[0].startswith("tca: error: "), text
    return lines[0]


def type_in(terminal, text):
    """What is typed may be more than the terminal holds: it goes on while the program is read from."""
    def write():
        left = memoryview(text)
        while left:
            left = left[os.write(terminal, left):]
    threading.Thread(target=write, daemon=True).start()


def on_terminal(arguments, seconds=60, env=None, send=(), columns=100):
    """What the program writes to a terminal, and its exit code. The terminal must be set as before when it has ended.

    send: expressions to wait for in what it writes, and the bytes to type then, or a function of the process to call.
    """
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    before = termios.tcgetattr(terminal)

    def own_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    program = subprocess.Popen([PROGRAM, *map(str, arguments)], stdin=terminal, stdout=terminal, stderr=terminal,
                               env=env or environment(TERM="xterm-256color"), preexec_fn=own_terminal)
    text, waiting, searched = b"", list(send), 0
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            if select.select([main], [], [], 0.05)[0]:
                text += os.read(main, 65536)
            elif program.poll() is not None:
                break
            while waiting and (found := re.compile(waiting[0][0]).search(text, searched)):
                searched = found.end()
                action = waiting.pop(0)[1]
                if callable(action):
                    action(program)
                else:
                    type_in(main, action)
        assert program.poll() is not None, f"still running after {seconds} s: {text[-2000:]}"
        assert termios.tcgetattr(terminal) == before, "the terminal was not given back as it was"
        assert text.count(b"\x1b[?2004h") == text.count(b"\x1b[?2004l"), "pastes stay in brackets"
    finally:
        program.kill()
        program.wait()
        os.close(main)
        os.close(terminal)
    return text.decode(), program.returncode


def novel(characters, begin=0):
    return NOVEL.read_text(encoding="utf-8")[begin : begin + characters]
