"""What no single setting shows: halves of a pair, what a dyno cannot do without, and sums."""

from collections.abc import Container, Mapping
from typing import Any, Final

from dataflow.settings.api_keys import digest_of, parse

#: Supabase's S3 backend holds a part under 5 MiB in a volatile side object (contract section 0.3).
MIN_SUPABASE_CHUNK_BYTES: Final = 5 * 1024 * 1024
#: So many threads of a web process, but at most a quarter, serve everything else.
OTHER_THREADS: Final = 16


def contradictions(values: Mapping[str, Any], wrong: Container[str]) -> list[str]:
    def is_given(name: str) -> bool:
        return bool(values[name]) or name.upper() in wrong

    problems = []
    if values["dyno"]:
        needed = ("database_url", "supabase_url", "supabase_service_role_key")
        missing = [name.upper() for name in needed if not is_given(name)]
        if missing:
            problems.append(f"{', '.join(missing)}: required on a dyno, whose own disk is lost at every restart.")
        if not is_given("api_keys"):
            problems.append("API_KEYS: required on a dyno, which everybody can reach: see `dataflow key`, or set open.")
    elif is_given("supabase_url") != is_given("supabase_service_role_key"):
        problems.append("SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY: set both, or neither for a local directory.")
    if is_given("storage_url") and not is_given("supabase_url"):
        problems.append("STORAGE_URL: says where the storage of SUPABASE_URL is; set both.")
    if is_given("supabase_url") and values["upload_chunk_size"] < MIN_SUPABASE_CHUNK_BYTES:
        problems.append(f"UPLOAD_CHUNK_SIZE: at least {MIN_SUPABASE_CHUNK_BYTES} with Supabase Storage.")
    if values["metrics_key"] and digest_of(values["metrics_key"]) in {key.digest for key in parse(values["api_keys"])}:
        problems.append("METRICS_KEY: opens /metrics and nothing else, so it cannot be one of API_KEYS.")
    needed_threads = values["max_uploads"] + values["max_exports"]
    if needed_threads > (threads := transfer_threads(values["web_threads"])):
        problems.append(
            f"MAX_UPLOADS and MAX_EXPORTS: each needs a thread, {needed_threads} in all, and of "
            f"{values['web_threads']} WEB_THREADS {threads} are for them. Those of MAX_EVENT_STREAMS come on top."
        )
    return problems


def transfer_threads(web_threads: int) -> int:
    """How many of a web process's threads serve bodies and rejects files."""
    return web_threads - max(1, min(OTHER_THREADS, web_threads // 4))
