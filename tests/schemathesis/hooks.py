"""What a request's parts have to do with each other, which JSON Schema cannot say.

Only requests that are meant to be accepted are touched, and only where such a rule is broken: what one of them gets wrong in its
own right is still refused, and then that is a finding. Requests that are meant to be refused stay as they were made.
"""

import schemathesis

TIMEOUT, RUN = 60, 10  # of those who ask for none
PART_BYTES, PATH_BYTES, TRACE_ID_BYTES = 255, 1024, 128


@schemathesis.hook
def map_case(context, case):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    jobs = case.body.get("jobs", [case.body]) if isinstance(case.body, dict) else []
    for job in jobs if isinstance(jobs, list) else []:
        if isinstance(job, dict):
            files_go_together(job)
            parts_fit_the_whole(job)
            names_are_short_in_bytes(job)
            webhook_is_public(job)
    return case


def files_go_together(job):
    """No two files have one name, none is where another has a directory, and the one that starts is there and not empty."""
    files = job.get("files")
    if not isinstance(files, list) or not files:
        return
    kept = []
    for file in files:
        path = file["path"] = shortened_path(file["path"])
        others = [other["path"] for other in kept]
        if not any(path == other or path.startswith(other + "/") or other.startswith(path + "/") for other in others):
            kept.append(file)
    job["files"] = kept
    paths = [file["path"] for file in kept]
    if isinstance(job.get("entry"), str) and job["entry"] not in paths:
        job["entry"] = paths[len(job["entry"]) % len(paths)]
    starts = job.get("entry") or paths[0]
    for file in kept:
        if file["path"] == starts and not file["content"]:
            file["content"] = "0"


def parts_fit_the_whole(job):
    """Building and running take no longer than the job, and no more CPU time is used than there is."""
    limits = job.get("limits")
    if not isinstance(limits, dict):
        return
    timeout = job.get("timeout") or TIMEOUT
    for part in ("compile_seconds", "run_seconds"):
        if limits.get(part) is not None:
            limits[part] = min(limits[part], timeout)
    run = limits.get("run_seconds") or min(RUN, timeout)
    whole = run * (limits.get("vcpus") or 1)
    if limits.get("cpu_seconds") is not None and whole < limits["cpu_seconds"]:
        limits["cpu_seconds"] = run


def names_are_short_in_bytes(job):
    """What ends up in logs and in file systems is bounded in bytes; a schema counts characters."""
    if isinstance(job.get("trace_id"), str):
        job["trace_id"] = shortened(job["trace_id"], TRACE_ID_BYTES)


def webhook_is_public(job):
    """Which addresses may be told is the operator's word, and no pattern's."""
    if isinstance(job.get("webhook"), dict) and "url" in job["webhook"]:
        job["webhook"]["url"] = "https://hooks.example/"
        # This service's operator has none for those who bring none.
        if not job["webhook"].get("secret"):
            job["webhook"]["secret"] = "between us"


def shortened_path(path):
    parts = [shortened(part, PART_BYTES) for part in path.split("/")]
    while PATH_BYTES < len("/".join(parts).encode()):
        parts.pop()
    return "/".join(parts)


def shortened(text, most):
    return text.encode()[:most].decode(errors="ignore")
