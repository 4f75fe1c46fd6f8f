"""Runs the tca program for the tests of the command line."""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("TCA_PROGRAM", str(ROOT / "build" / "release" / "tca"))
PACKAGE = str(pathlib.Path(PROGRAM).parent / "python")  # the folder that `import tca` needs
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


class OnTerminal:
    """The program as a shell starts it: in the foreground of a session whose leader outlives it, so that the terminal
    is not hung up, and can be looked at, when the program has ended."""

    def __init__(self, terminal, arguments, env):
        self.reports, report = os.pipe()
        hold, self.hold = os.pipe()
        self.leader = os.fork()
        if self.leader == 0:
            try:
                os.close(self.hold)
                self.lead(terminal, arguments, env, report, hold)
            finally:
                os._exit(0)
        os.close(report)
        os.close(hold)
        self.reports = os.fdopen(self.reports)
        self.pid = int(self.reports.readline())

    @staticmethod
    def lead(terminal, arguments, env, report, hold):
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

        def foreground():
            os.setpgid(0, 0)
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(0, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who runs the tests under nohup ignores it

        program = subprocess.Popen([PROGRAM, *map(str, arguments)], stdin=terminal, stdout=terminal, stderr=terminal,
                                   env=env, preexec_fn=foreground)
        os.write(report, f"{program.pid}\n".encode())
        os.write(report, f"{program.wait()}\n".encode())
        os.read(hold, 1)

    def state(self):
        """As ps shows it: R, S, T (stopped), ..."""
        return pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def ended(self):
        return bool(select.select([self.reports], [], [], 0)[0])

    def finish(self):
        """The exit code, after which the session is gone."""
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
        code = int(self.reports.readline())
        os.close(self.hold)
        os.waitpid(self.leader, 0)
        self.reports.close()
        return code


def on_terminal(arguments, seconds=60, env=None, send=(), columns=100):
    """What the program writes to a terminal, and its exit code. The terminal must be set as before when it has ended.

    send: expressions to wait for in what it writes, and the bytes to type then, or a function of OnTerminal to call.
    """
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    before = termios.tcgetattr(terminal)
    program = OnTerminal(terminal, arguments, env or environment(TERM="xterm-256color"))
    text, waiting, searched, code = b"", list(send), 0, None
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            if select.select([main], [], [], 0.05)[0]:
                text += os.read(main, 65536)
            elif program.ended():
                break
            while waiting and (found := re.compile(waiting[0][0]).search(text, searched)):
                searched = found.end()
                action = waiting.pop(0)[1]
                if callable(action):
                    action(program)
                else:
                    type_in(main, action)
        assert program.ended(), f"still running after {seconds} s: {text[-2000:]}"
        assert termios.tcgetattr(terminal) == before, "the terminal was not given back as it was"
        assert text.count(b"\x1b[?2004h") == text.count(b"\x1b[?2004l"), "pastes stay in brackets"
    finally:
        code = program.finish()
        os.close(main)
        os.close(terminal)
    return text.decode(), code


def novel(characters, begin=0):
    return NOVEL.read_text(encoding="utf-8")[begin : begin + characters]


def model_copy(folder):
    """The model by links, so that single files can be changed."""
    folder.mkdir()
    for file in MODEL.iterdir():
        if file.is_file():
            (folder / file.name).symlink_to(file)
    return folder


def replace(folder, name, text):
    (folder / name).unlink()
    (folder / name).write_text(text)
