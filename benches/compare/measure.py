"""What every peer is measured with: processor time, bytes on disk, repeated queries."""

import http.client
import os
import subprocess
import time
import urllib.parse
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Unavailable(Exception):
    """A peer cannot be measured here; the text says why."""


def cpu_seconds(pid):
    """Processor time of a running process and all its threads: seconds."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    # The name, in parentheses, may hold spaces; user and system time are fields 14 and 15.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def directory_bytes(path):
    """Length of all files below a path, holes not counted: bytes.

    Files that vanish meanwhile count as nothing.
    """
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                stat = os.lstat(os.path.join(folder, name))
                total += min(stat.st_size, stat.st_blocks * 512)
            except FileNotFoundError:
                pass
    return total


def run_measured(command, limit_s):
    """Runs a program to its end: its output and its processor time in seconds."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        before = os.times()
        try:
            out, err = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Unavailable(f"{command[0]} took longer than {limit_s} s") from None
        after = os.times()
    if process.returncode != 0:
        words = err.decode(errors="replace").strip().splitlines() or ["no message"]
        raise Unavailable(f"{Path(command[0]).name} {command[1]}: {words[-1]}")
    cpu_s = after.children_user + after.children_system
    cpu_s -= before.children_user + before.children_system
    return out.decode(), cpu_s


class Server:
    """A server process on 127.0.0.1, stopped when the `with` block ends."""

    def __init__(self, command, port, log):
        self.command, self.port, self.log = command, port, log
        self.process = self.connection = None

    def __enter__(self):
        with open(self.log, "wb") as log:
            try:
                self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
            except FileNotFoundError:
                raise Unavailable(f"{self.command[0]} is not installed") from None
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Asks the process to end, and waits for it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def wait_until_up(self, path, limit_s=30):
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Unavailable(f"{self.command[0]} ended; see {self.log}")
            try:
                return self.request("GET", path)
            except (OSError, http.client.HTTPException, Unavailable):
                self.connection = None
                time.sleep(0.2)
        raise Unavailable(f"{self.command[0]} did not answer within {limit_s} s")

    def request(self, method, path, body=None, headers=None):
        """One request over the kept connection: the body of the answer."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        self.connection.request(method, path, body, headers or {})
        response = self.connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise Unavailable(f"{path.partition('?')[0]}: {response.status} {answer[:200]!r}")
        return answer

    def get(self, path, **arguments):
        return self.request("GET", f"{path}?{urllib.parse.urlencode(arguments)}")

    def settle(self, limit_s):
        """Waits until the server has been idle for two seconds."""
        end, last = time.monotonic() + limit_s, self.cpu_seconds()
        idle = 0
        while idle < 4 and time.monotonic() < end:
            time.sleep(0.5)
            now = self.cpu_seconds()
            idle = idle + 1 if now - last <= 0.02 else 0
            last = now

    def query_cpu_ms(self, query, limit_s=15):
        """Processor time of one query: the mean over repetitions, after one that is not counted.

        The clock of a process ticks in hundredths of a second, so a query is repeated until a
        second of processor time has gone by.
        """
        query()
        end, start, count = time.monotonic() + limit_s, self.cpu_seconds(), 0
        while count < 5 or (self.cpu_seconds() - start < 1.0 and count < 2000):
            query()
            count += 1
            if time.monotonic() > end:
                break
        return (self.cpu_seconds() - start) / count * 1e3


def repeat_cpu_ms(query):
    """The same for a query in this process."""
    query()
    start, count = time.process_time(), 0
    while count < 5 or time.process_time() - start < 1.0:
        query()
        count += 1
    return (time.process_time() - start) / count * 1e3
