"""Forks, signals, crashes and exit."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab import Proxy, Server

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def numbers(server: Server, table: str) -> list[int]:
    return [row["n"] for row in server.rows(table)]


def test_exit_delivers_all_rows(server: Server, name: str, program: Program) -> None:
    code = """
        import sys
        from streamtable import StreamTable
        table = StreamTable(sys.argv[1])
        table.log([{"n": n} for n in range(1000)])
    """
    program(code, name)
    assert numbers(server, name) == list(range(1000))


def test_exit_is_bounded_and_reports_pending_rows(
    server: Server, name: str, program: Program
) -> None:
    code = """
        import sys
        from streamtable import StreamTable
        options = {"spool_dir": False} if sys.argv[2:] else {}
        table = StreamTable(sys.argv[1], exit_timeout=1, **options)
        table.log({"n": 1})
    """
    with Proxy(server, lambda _: (503, {})) as proxy:
        env = {"WANDB_BASE_URL": proxy.url, "WANDB_API_KEY": server.key}
        start = time.monotonic()
        said = program(code, name, **env).stderr
        assert time.monotonic() - start < 6
        assert f"streamtable: {name}: 1 rows or files are not stored yet" in said
        assert "they are in the spool and are sent when the table is opened again" in said
        said = program(code, name, "no spool", **env).stderr
        assert "they are lost with this process" in said


def test_a_dropped_table_delivers_its_rows(server: Server, name: str, program: Program) -> None:
    code = """
        import sys, time
        from streamtable import StreamTable
        start = time.monotonic()
        StreamTable(sys.argv[1]).log([{"n": n} for n in range(100)])
        assert time.monotonic() - start < 5
    """
    program(code, name)
    assert numbers(server, name) == list(range(100))


DIE = """
    import os, signal, sys, time
    from streamtable import StreamTable
    table = StreamTable(sys.argv[1])
    for n in range(5000):
        table.log({"n": n})
    if sys.argv[2] == "_exit":
        os._exit(9)
    if sys.argv[2] == "abort":
        os.abort()
    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
    time.sleep(10)
"""

AGAIN = """
    import sys
    from streamtable import StreamTable
    with StreamTable(sys.argv[1]) as table:
        pass
    print(table.stats().recovered)
"""


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "_exit", "abort"])
def test_a_killed_process_loses_no_rows(server: Server, name: str, program: Program, how: str) -> None:
    """The legacy client loses all rows of the last seconds (defect 1)."""
    program(DIE, name, how, code_is=None)
    program(AGAIN, name)
    assert numbers(server, name) == list(range(5000))


def test_a_killed_process_without_a_server_loses_no_rows(server: Server, name: str, program: Program) -> None:
    with Proxy(server, lambda _: (503, {})) as proxy:
        program(DIE, name, "SIGKILL", code_is=-signal.SIGKILL, WANDB_BASE_URL=proxy.url, WANDB_API_KEY=server.key)
        assert server.get("/api/tables").decode().count(name) == 0
        # The same address, which now forwards requests.
        proxy.plan = lambda _: "pass"
        said = program(AGAIN, name, WANDB_BASE_URL=proxy.url, WANDB_API_KEY=server.key).stdout
    assert "found=5000, acked=5000, pending=0" in said
    assert numbers(server, name) == list(range(5000))


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork")
def test_fork(server: Server, name: str, program: Program) -> None:
    """The legacy client loses a child's rows (defect 4)."""
    code = """
        import os, sys, threading
        from streamtable import StreamTable
        table = StreamTable(sys.argv[1])
        table.log({"who": "parent", "n": 0})
        # Threads that log while the process forks.
        stop = threading.Event()
        def work():
            n = 1
            while not stop.is_set():
                table.log({"who": "thread", "n": n})
                n += 1
                stop.wait(0.001)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        children = []
        for child in range(5):
            pid = os.fork()
            if pid == 0:
                parent = table.writer
                for n in range(100):
                    table.log({"who": f"child{child}", "n": n})
                if child % 2:
                    table.finish()
                    os._exit(0)
                sys.exit(0)
            children.append(pid)
        codes = [os.waitpid(pid, 0)[1] for pid in children]
        stop.set()
        for thread in threads:
            thread.join()
        table.log({"who": "parent", "n": 1})
        stats = table.finish()
        assert codes == [0] * 5, codes
        assert stats.acked == stats.logged
    """
    program(code, name)
    rows = server.rows(name)
    for child in range(5):
        assert [row["n"] for row in rows if row["who"] == f"child{child}"] == list(range(100))
    assert [row["n"] for row in rows if row["who"] == "parent"] == [0, 1]
    writers = {row["who"]: row["_writer"] for row in rows}
    assert len(set(writers.values())) == 6
    assert max(Counter((row["_writer"], row["_line"]) for row in rows).values()) == 1


def test_an_idle_child_exits(name: str, program: Program, server: Server) -> None:
    code = """
        import os, sys, time
        from streamtable import StreamTable
        table = StreamTable(sys.argv[1])
        table.log({"n": 0})
        pid = os.fork()
        if pid == 0:
            if sys.argv[2] == "drop":
                del table
            sys.exit(0)
        start = time.monotonic()
        assert os.waitpid(pid, 0)[1] == 0
        assert time.monotonic() - start < 5
    """
    for how in ("keep", "drop"):
        program(code, name, how)
    assert numbers(server, name) == [0, 0]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(server: Server, name: str, program: Program, method: str) -> None:
    """Children of multiprocessing exit without calling atexit functions."""
    code = """
        import multiprocessing, sys
        from streamtable import StreamTable

        def work(name, who):
            table = StreamTable(name, quiet=True, spool_dir=False)
            table.log([{"who": who, "n": n} for n in range(50)])

        def inherited(who):
            shared.log([{"who": who, "n": n} for n in range(50)])

        if __name__ == "__main__":
            name, method = sys.argv[1:]
            context = multiprocessing.get_context(method)
            shared = StreamTable(name, spool_dir=False)
            shared.log({"who": -1, "n": 0})
            jobs = [context.Process(target=work, args=(name, i)) for i in range(2)]
            if method == "fork":
                jobs += [context.Process(target=inherited, args=(i,)) for i in range(2, 4)]
            for job in jobs:
                job.start()
            for job in jobs:
                job.join(30)
            assert [job.exitcode for job in jobs] == [0] * len(jobs)
    """
    program(code, name, method)
    rows = server.rows(name)
    for who in range(4 if method == "fork" else 2):
        assert [row["n"] for row in rows if row["who"] == who] == list(range(50))
    assert sum(row["who"] == -1 for row in rows) == 1


@pytest.mark.parametrize("wait", ["flush", "finish", "log", "open"])
def test_ctrl_c_interrupts_waits(
    server: Server, name: str, machine: Path, wait: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = machine / "waits.py"
    script.write_text(
        f"""
import sys, time
from streamtable import StreamTable
table = None
try:
    if {wait!r} == "open":
        print("waiting", flush=True)
    table = StreamTable({name!r}, when_full="wait", buffer_bytes=1000, spool_dir=False, exit_timeout=0.2, open_timeout=60)
    table.log({{"n": 0}})
    print("waiting", flush=True)
    if {wait!r} == "log":
        while True:
            table.log({{"n": 1}})
    table.{wait if wait in ("flush", "finish") else "flush"}()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    raise SystemExit(7)
"""
    )
    hangs: Callable[[int], Any] = lambda _: "hang"
    with Proxy(server, hangs, hangs_at_open=wait == "open") as proxy:
        monkeypatch.setenv("WANDB_BASE_URL", proxy.url)
        monkeypatch.setenv("WANDB_API_KEY", server.key)
        process = subprocess.Popen(
            [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        time.sleep(0.7)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (out, process.returncode) == ("interrupted\n", 7), err
        assert time.monotonic() - start < 4


def test_a_waiting_daemon_thread_does_not_block_exit(
    server: Server, name: str, program: Program
) -> None:
    code = """
        import sys, threading, time
        from streamtable import StreamTable
        table = StreamTable(sys.argv[1], exit_timeout=0.2)
        table.log({"n": 0})
        threading.Thread(target=table.flush, daemon=True).start()
        time.sleep(0.2)
    """
    with Proxy(server, lambda _: "hang") as proxy:
        start = time.monotonic()
        program(code, name, WANDB_BASE_URL=proxy.url, WANDB_API_KEY=server.key)
        assert time.monotonic() - start < 6


LATE = """
    import atexit, sys, threading, time
    # Exit functions that are registered first run last.
    late = []
    atexit.register(lambda: [function() for function in late])
    from streamtable import StreamTable

    options = {"spool_dir": False} if sys.argv[2:] else {}
    table = StreamTable(sys.argv[1], quiet=True, **options)
    table.log({"who": "main", "n": 0})

    def work():
        n = 0
        while True:
            table.log([{"who": "thread", "n": n}])
            n += 1
            time.sleep(0.001)

    threading.Thread(target=work, daemon=True).start()

    def at_exit():
        for n in range(10):
            table.log({"who": "exit", "n": n})
        # The thread logs some rows, too.
        time.sleep(0.1)

    late.append(at_exit)
"""


def test_rows_that_are_logged_at_the_end_go_to_the_spool(server: Server, name: str, program: Program) -> None:
    # One line may say that rows wait in the spool, and nothing raises.
    lines = program(LATE, name).stderr.splitlines()
    assert all("stay in the spool" in line for line in lines), lines
    program(AGAIN, name)
    rows = server.rows(name)
    assert [row["n"] for row in rows if row["who"] == "exit"] == list(range(10))
    thread = [row["n"] for row in rows if row["who"] == "thread"]
    assert len(thread) > 20
    assert thread == list(range(len(thread)))


def test_rows_that_are_logged_at_the_end_without_a_spool_are_reported(
    name: str, program: Program
) -> None:
    said = program(LATE, name, "no spool").stderr
    assert said.count("rows that are logged while the program ends are lost") == 1
    assert "Traceback" not in said
