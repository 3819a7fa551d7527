"""A supervisor keeps the lease, ends the child when it must, and records how it ended."""

import time

import pytest
from supervision import LEASE_SECONDS, SupervisionBench, is_alive, wait_until

from curation.clock import utc_now
from curation.database import unit_of_work
from curation.jobs import cancel_job, claim_job
from curation.models import JobState
from worker.settings import WorkerSettings


def test_progress_and_device_reach_the_job(bench: SupervisionBench) -> None:
    bench.run("progress=0.25", "sleep=0.5", "fail=enough")

    job = bench.job()
    assert (job.phase, job.fraction, job.step, job.device) == ("train", 0.25, 1, "cpu")


def test_progress_is_written_at_most_once_a_second_and_the_newest_wins(
    bench: SupervisionBench,
) -> None:
    acts = [f"progress={step / 1000}" for step in range(1, 500)]
    with bench.noted_progress() as written:
        bench.run(*acts, "sleep=1.5", "fail=enough")

    # The first at once and the newest a second later; a slow pipe may bring one more.
    assert written[-1] == pytest.approx(0.499)
    assert len(written) <= 3


def test_failure_keeps_reason_sentence_and_the_end_of_the_log(bench: SupervisionBench) -> None:
    bench.run("say=about to fail", "fail=The loss is not finite.")

    job = bench.job()
    assert job.state is JobState.FAILED
    assert (job.failure_reason, job.failure_detail) == ("NON_FINITE", "The loss is not finite.")
    assert job.log_tail == "about to fail\n"


def test_crash_fails_the_job_without_another_attempt(bench: SupervisionBench) -> None:
    bench.run("die=SIGSEGV")

    job = bench.job()
    assert (job.state, job.failure_reason) == (JobState.FAILED, "INTERNAL_ERROR")
    assert bench.rung == []


def test_noise_on_the_report_pipe_is_passed_over(bench: SupervisionBench) -> None:
    bench.run("mumble=a library's own words", "fail=still heard")

    assert bench.job().failure_detail == "still heard"


def test_killed_child_is_tried_again_until_the_attempts_are_used_up(
    bench: SupervisionBench,
) -> None:
    max_attempts = bench.job().max_attempts
    for _ in range(max_attempts - 1):
        bench.run("say=killed", "die=SIGKILL")
        assert bench.job().state is JobState.QUEUED
    bench.run("say=killed", "die=SIGKILL")

    job = bench.job()
    assert (job.state, job.failure_reason) == (JobState.FAILED, "WORKER_LOST")
    assert job.log_tail == "killed\n"
    assert bench.rung[: max_attempts - 1] == [bench.job_id] * (max_attempts - 1)


def test_child_killed_for_memory_is_not_tried_again_and_says_what_to_turn(
    bench: SupervisionBench,
) -> None:
    bench.run(f"count_kill={bench.kill_counter}", "die=SIGKILL")

    job = bench.job()
    assert (job.state, job.failure_reason) == (JobState.FAILED, "OUT_OF_MEMORY")
    assert "micro_batch_size" in (job.failure_detail or "")
    assert bench.rung == []


def test_everything_that_the_attempt_started_is_gone_after_it(bench: SupervisionBench) -> None:
    bench.run(f"orphan={bench.folder / 'orphan'}", "die=SIGKILL")

    assert not is_alive(bench.written_pid("orphan"))
    assert list((bench.folder / "scratch").iterdir()) == []


def test_cancel_lets_the_child_leave_and_marks_the_job(bench: SupervisionBench) -> None:
    thread = bench.start(f"pid={bench.folder / 'pid'}", "wait_for_stop", grace_seconds=10.0)
    pid = bench.written_pid("pid")

    with unit_of_work(bench.engine) as session:
        cancel_job(session, bench.workspace, bench.job_id, utc_now())
    thread.join(10)

    assert bench.job().state is JobState.CANCELLED
    assert not is_alive(pid)


def test_child_that_ignores_a_cancel_is_killed_after_the_grace(bench: SupervisionBench) -> None:
    thread = bench.start("deaf", f"orphan={bench.folder / 'orphan'}", "sleep=600")
    pid = bench.written_pid("orphan")

    with unit_of_work(bench.engine) as session:
        cancel_job(session, bench.workspace, bench.job_id, utc_now())
    thread.join(10)

    assert bench.job().state is JobState.CANCELLED
    assert not is_alive(pid)


def test_shutdown_releases_the_job_without_counting_the_attempt(bench: SupervisionBench) -> None:
    thread = bench.start(f"pid={bench.folder / 'pid'}", "wait_for_stop", grace_seconds=10.0)
    bench.written_pid("pid")

    bench.supervisor.shut_down()
    thread.join(10)

    job = bench.job()
    assert (job.state, job.attempt) == (JobState.QUEUED, 0)
    assert bench.rung == [bench.job_id]


def test_worker_that_leaves_takes_no_job_and_passes_the_message_on(
    bench: SupervisionBench,
) -> None:
    supervisor = bench.make_supervisor("fail=must not run")
    supervisor.shut_down()
    supervisor.run(bench.job_id)

    job = bench.job()
    assert (job.state, job.attempt) == (JobState.QUEUED, 0)
    assert bench.rung == [bench.job_id]


def test_lost_lease_kills_the_child_at_once_and_writes_nothing(bench: SupervisionBench) -> None:
    thread = bench.start("deaf", f"pid={bench.folder / 'pid'}", "sleep=600", grace_seconds=60.0)
    pid = bench.written_pid("pid")

    bench.expire_lease()
    with unit_of_work(bench.engine) as session:
        usurper = claim_job(session, bench.job_id, runner="usurper", lease_seconds=60)
    assert usurper is not None
    thread.join(10)

    job = bench.job()
    assert (job.state, job.runner, job.attempt) == (JobState.RUNNING, "usurper", 2)
    assert not is_alive(pid)


def test_unreachable_database_ends_the_child_when_the_lease_runs_out(
    bench: SupervisionBench,
) -> None:
    thread = bench.start("deaf", f"pid={bench.folder / 'pid'}", "sleep=600")
    pid = bench.written_pid("pid")

    with bench.held_row():
        held_at = time.monotonic()
        wait_until(lambda: not is_alive(pid))
        lived_seconds = time.monotonic() - held_at
    thread.join(10)

    # The last heartbeat was answered at most two intervals before the row was held.
    assert LEASE_SECONDS - 0.5 < lived_seconds < LEASE_SECONDS + 1.0
    assert bench.job().state is JobState.RUNNING


def test_short_outage_of_the_database_is_outlived(bench: SupervisionBench) -> None:
    thread = bench.start(f"pid={bench.folder / 'pid'}", "sleep=3", "fail=came to its end")
    bench.written_pid("pid")

    with bench.held_row():
        time.sleep(LEASE_SECONDS / 2)
    thread.join(15)

    assert bench.job().failure_detail == "came to its end"


def test_run_time_over_the_limit_ends_the_job(bench: SupervisionBench) -> None:
    bench.set_max_runtime(seconds=1)
    bench.run("wait_for_stop")

    job = bench.job()
    assert (job.state, job.failure_reason) == (JobState.FAILED, "MAX_RUNTIME_EXCEEDED")


def test_child_without_progress_is_ended_and_tried_again_until_the_attempts_are_used_up(
    bench: SupervisionBench,
) -> None:
    for _ in range(bench.job().max_attempts):
        assert bench.job().state is JobState.QUEUED
        bench.run(f"orphan={bench.folder / 'orphan'}", "deaf", "sleep=600", stall_seconds=0.5)
        assert not is_alive(bench.written_pid("orphan"))

    job = bench.job()
    assert (job.state, job.failure_reason) == (JobState.FAILED, "STALLED")


def test_child_that_makes_progress_is_given_time(bench: SupervisionBench) -> None:
    acts = [act for step in range(6) for act in (f"progress={step / 10}", "sleep=0.4")]
    bench.run(*acts, "fail=came to its end", stall_seconds=1.5)

    assert bench.job().failure_detail == "came to its end"


def test_worker_that_cannot_make_a_scratch_folder_leaves_the_job_to_another(
    bench: SupervisionBench,
) -> None:
    (bench.folder / "file").write_text("")
    bench.run("fail=must not run", scratch_dir=bench.folder / "file" / "scratch")

    assert bench.job().state is JobState.QUEUED
    assert bench.rung == [bench.job_id]


def test_message_for_a_running_job_is_dropped(bench: SupervisionBench) -> None:
    with unit_of_work(bench.engine) as session:
        claim_job(session, bench.job_id, runner="first", lease_seconds=60)
    bench.run("fail=must not run")

    job = bench.job()
    assert (job.state, job.runner) == (JobState.RUNNING, "first")


def test_message_serves_whoever_waits_longest_not_only_its_own_job(
    bench: SupervisionBench,
) -> None:
    newer = bench.queue_another()
    bench.make_supervisor("fail=the older one").run(newer)

    assert bench.job().failure_detail == "the older one"
    assert bench.job(newer).state is JobState.QUEUED


def test_job_that_its_workspaces_limit_held_back_is_rung_when_another_ends(
    bench: SupervisionBench,
) -> None:
    waiting = bench.queue_another()
    bench.run("fail=it ended", quota_running_jobs=1)

    assert bench.job().state is JobState.FAILED
    assert bench.rung == [waiting]


@pytest.mark.slow
def test_default_settings_renew_the_lease_and_hear_a_cancel(bench: SupervisionBench) -> None:
    defaults = {
        name: WorkerSettings.model_fields[name].default
        for name in ("lease_seconds", "heartbeat_seconds", "grace_seconds")
    }
    thread = bench.start(f"pid={bench.folder / 'pid'}", "wait_for_stop", **defaults)
    bench.written_pid("pid")
    first_lease = bench.job().lease_expires_at

    wait_until(lambda: bench.job().lease_expires_at != first_lease, seconds=20)
    with unit_of_work(bench.engine) as session:
        cancel_job(session, bench.workspace, bench.job_id, utc_now())
    thread.join(30)

    assert bench.job().state is JobState.CANCELLED
