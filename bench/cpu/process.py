"""Programs run one at a time, with the memory each took; the standard library alone."""
import os
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Failed(Exception):
    """Why there is no result."""


class Done:
    """`others` is how many cores other programs kept busy meanwhile: a figure taken beside them says little."""

    def __init__(self, output, errors, peak_bytes, others):
        self.output, self.errors, self.peak_bytes, self.others = output, errors, peak_bytes, others


def busy_seconds():
    """Of all cores together since the machine started, time that a hypervisor took included."""
    user, nice, system, _, _, irq, softirq, steal = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


def wait(process, seconds):
    """The exit code and what the kernel counted for this process alone; kills it after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid != 0:
            process.returncode = os.waitstatus_to_exitcode(status)  # Popen must not wait for it again
            return process.returncode, usage
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise Failed(f"took more than {seconds:.0f} s")
        time.sleep(0.05)


def run(command, seconds):
    """Done, or Failed."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        begin, busy = time.monotonic(), busy_seconds()
        try:
            process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=errors, cwd=ROOT)
        except OSError as error:
            raise Failed(str(error)) from None
        try:
            code, usage = wait(process, seconds)
        except BaseException:
            process.kill()  # does nothing to one that has ended
            raise
        others = busy_seconds() - busy - usage.ru_utime - usage.ru_stime
        others = max(0.0, others) / (time.monotonic() - begin)
        output.seek(0)
        errors.seek(0)
        text, said = output.read(), errors.read()
    if code != 0:
        raise Failed(f"exit code {code}: {last_line(said)}")
    return Done(text, said, usage.ru_maxrss * 1024, others)
