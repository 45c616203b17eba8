"""Every answered request of a judge in one SQLite file, by the key of the request.

The first answer to a request stands: whoever asks again, in this process or another, gets that one. Each answer is on disk before its grade
is used (write-ahead log, synced), so a killed run loses none.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import stamina

from rewards.errors import RewardError
from rewards.judge.reply import Reply
from rewards.judge.request import key_of

WAIT_S = 60.0
TABLE = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, request TEXT NOT NULL, reply TEXT NOT NULL) WITHOUT ROWID"


class JudgeRecord:
    """An open record. `read_only` needs the file to be there and never writes. Any number of threads and processes may use one file."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        if read_only and not path.is_file():
            raise RewardError(f"judge record {path}: there is no such file; make it with mode=record")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._lock = path, threading.Lock()
        try:
            self._file = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
            if not read_only:
                for attempt in stamina.retry_context(on=sqlite3.OperationalError, attempts=None, timeout=WAIT_S):
                    with attempt:  # the change to WAL does not wait for other processes by itself
                        self._file.execute("PRAGMA journal_mode=WAL")
                self._file.execute("PRAGMA synchronous=FULL")
                self._file.execute(TABLE)
            self._file.execute("SELECT key, request, reply FROM answers LIMIT 0")
        except sqlite3.DatabaseError as error:
            raise RewardError(f"judge record {path}: {error}") from error

    def __enter__(self) -> "JudgeRecord":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def find(self, key: str) -> Reply | None:
        row = self._file.execute("SELECT reply FROM answers WHERE key = ?", (key,)).fetchone()
        return Reply.from_json(row[0]) if row else None

    def keep(self, canonical: str, reply: Reply) -> Reply:
        """Stores the answer unless there is one already; gives the one that stands."""
        key = key_of(canonical)
        with self._lock:
            self._file.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", (key, canonical, reply.to_json()))
            standing = self.find(key)
        assert standing is not None, "an answer was stored and is gone"
        return standing

    def __len__(self) -> int:
        count: int = self._file.execute("SELECT count(*) FROM answers").fetchone()[0]
        return count

    def export_lines(self) -> Iterator[str]:
        """One JSON object a line with `key`, `request` and `reply`, in order of key."""
        for key, request, reply in self._file.execute("SELECT key, request, reply FROM answers ORDER BY key"):
            yield json.dumps({"key": key, "request": json.loads(request), "reply": json.loads(reply)}, ensure_ascii=False)

    def import_lines(self, lines: Iterator[str], source: str) -> int:
        """Adds the answers of exported lines, all or none; gives how many were new. Raises `RewardError` naming source and line."""
        before = len(self)
        self._file.execute("BEGIN IMMEDIATE")
        try:
            for number, line in enumerate(lines, 1):
                self._import(line, f"{source}, line {number}")
        except BaseException:
            self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")
        return len(self) - before

    def _import(self, line: str, where: str) -> None:
        try:
            entry = json.loads(line)
            canonical = json.dumps(entry["request"], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
            reply = Reply.from_json(json.dumps(entry["reply"]))
            key = entry["key"]
        except (ValueError, LookupError, TypeError) as error:
            raise RewardError(f"{where}: not a line of an exported record ({type(error).__name__}: {error})") from error
        if key != key_of(canonical):
            raise RewardError(f"{where}: the key {key} is not the hash of its request; the line was changed")
        if self.keep(canonical, reply) != reply:
            raise RewardError(f"{where}: {self._path} has another answer to request {key}; import into a new file")
