"""Runs of the command line whose process is gone: ended in Dagster's record, their pools let go.

Belongs here: telling that they are gone. Runs that the daemon started are its own to watch
(`run_monitoring`), but a command has no daemon: the pool of a killed one would never be let go.
"""

import os
import socket
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

PROCESS_TAG = "hc_assets/process"


def process_name(pid: int) -> str:
    """Name a process as no other on any machine ever is; "" where there is none of that number."""
    try:
        # Its start, in ticks since the machine's, is the 20th field after the name in brackets
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    return f"{socket.gethostname()} {boot} {pid} {started}"


def own_tag() -> dict[str, str]:
    """Tag for the runs of this process."""
    return {PROCESS_TAG: process_name(os.getpid())}


def end_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """End the runs of processes that are gone, and of this one, which runs one at a time.

    Returns:
        Their ids.
    """
    ended = []
    for run in instance.get_runs(dg.RunsFilter(statuses=list(IN_PROGRESS_RUN_STATUSES))):
        if _is_lost(run.tags.get(PROCESS_TAG, "")):
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            instance.report_run_failed(run, "The process of this run is gone.")
            ended.append(run.run_id)
    return ended


def _is_lost(name: str) -> bool:
    if not name:
        return False
    host, _, number, _ = name.split()
    pid = int(number)
    if host != socket.gethostname():
        return False
    return pid == os.getpid() or process_name(pid) != name
