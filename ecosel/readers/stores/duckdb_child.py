"""Query a stranger's DuckDB database in a separate process, which has limited memory and may be killed.

This runs as a script, without the package: it reads a request, a JSON object, from standard input and writes the rows as an Arrow
stream. DuckDB's own memory limit does not cover what its functions on texts and lists allocate, and its interrupt waits for them.
"""

from __future__ import annotations

import ctypes
import json
import re
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# Rows written at a time; each may hold a long text.
_ROWS = 2048
# Bytes that DuckDB's threads and allocator take on top of its own memory limit.
_BESIDE = 100_000_000
_PR_SET_PDEATHSIG = 1


def main() -> None:
    asked = json.load(sys.stdin)
    if sys.platform == "linux":  # end when the parent process ends
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    import duckdb
    import pyarrow as pa  # takes memory for each core, which is not part of the bound

    try:
        _bound(asked["memory"] + _BESIDE)
        with duckdb.connect(asked["file"], read_only=True, config=config(asked["memory"])) as database:
            rows = rows_of(database, asked)
            with pa.ipc.new_stream(sys.stdout.buffer, rows.schema) as stream:
                for batch in rows:
                    stream.write_batch(batch)
    except (duckdb.Error, MemoryError, OSError, ValueError) as error:  # Arrow raises some of these, too
        is_memory = isinstance(error, MemoryError) or re.search("bad_alloc|Out of Memory", str(error))
        sys.exit("memory" if is_memory else f"error {(str(error).splitlines() or ['?'])[0]}")


def config(memory: int) -> dict[str, str]:
    return {
        "enable_external_access": "false", "autoload_known_extensions": "false", "lock_configuration": "true",
        "threads": "2", "temp_directory": "", "memory_limit": f"{memory // 1000}KB",
    }  # fmt: skip


def rows_of(database: duckdb.DuckDBPyConnection, asked: dict[str, Any]) -> pa.RecordBatchReader:
    """Return the rows that a request asks for, a few at a time."""
    if asked["counted"]:
        some = f"SELECT count(*) FROM (SELECT 1 FROM {asked['counted']} LIMIT {asked['rows'] + 1})"
        if database.execute(some).fetchall()[0][0] > asked["rows"]:
            sys.exit("rows")
    return database.sql(asked["sql"]).to_arrow_reader(_ROWS)


def _bound(more: int) -> None:
    """Let this process allocate at most `more` bytes in addition to what it has."""
    if sys.platform != "linux":
        return
    import resource

    with open("/proc/self/status") as status:
        has = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
    resource.setrlimit(resource.RLIMIT_DATA, (has + more, has + more))


if __name__ == "__main__":
    main()
