from __future__ import annotations

import io
import signal
import threading
import time
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils.module_loading import import_string

from distro import clock, jobs
from distro.models import Job, JobRun
from distro.tasks import run_due_jobs

RAN = []
MINUTE = timedelta(minutes=1)


def good(*, at):
    RAN.append(("good", at))
    return 7


def bad(*, at):
    RAN.append(("bad", at))
    raise ValueError("buyer 13812345678")


def slow(*, at):
    RAN.append(("slow", at))
    time.sleep(0.3)
    return 0


@pytest.fixture(autouse=True)
def schedule(settings):
    RAN.clear()
    here = __name__
    settings.SCHEDULE = {"bad": (f"{here}.bad", 60), "good": (f"{here}.good", 60)}
    return settings.SCHEDULE


def names():
    return [name for name, _ in RAN]


def test_a_new_schedule_is_due_at_once(db, at):
    assert jobs.run_due(at) == ["bad", "good"]
    assert names() == ["bad", "good"]


def test_a_run_leaves_a_record(db, at):
    jobs.run_due(at)
    run = JobRun.objects.get(name="good")
    assert (run.started_at, run.ok, run.count, run.error) == (at, True, 7, "")
    assert run.finished_at >= at


def test_a_failure_leaves_a_record_that_names_nobody(db, at):
    jobs.run_due(at)
    run = JobRun.objects.get(name="bad")
    assert (run.ok, run.count, run.error) == (False, 0, "ValueError: buyer #")
    assert run.finished_at >= at


def test_nothing_runs_before_its_time(db, at):
    jobs.run_due(at)
    assert jobs.run_due(at + 59 * timedelta(seconds=1)) == []
    assert jobs.run_due(at + MINUTE) == ["bad", "good"]
    assert JobRun.objects.count() == 4


def test_a_late_look_does_not_shift_the_beat(db, at):
    jobs.run_due(at)
    jobs.run_due(at + MINUTE + timedelta(seconds=20))
    assert Job.objects.get(name="good").next_at == at + 2 * MINUTE


def test_what_was_missed_is_not_made_up_for(db, at):
    jobs.run_due(at)
    jobs.run_due(at + 10 * MINUTE)
    assert jobs.run_due(at + 10 * MINUTE + timedelta(seconds=30)) == []
    assert Job.objects.get(name="good").next_at == at + 11 * MINUTE


def test_a_daily_job_that_failed_is_tried_again_soon(db, at, schedule):
    schedule["bad"] = (schedule["bad"][0], 24 * 3600)
    jobs.run_due(at)
    assert Job.objects.get(name="bad").next_at == at + 5 * MINUTE


def test_a_path_that_leads_nowhere_is_a_failure_like_others(db, at, schedule):
    schedule["bad"] = ("distro.no_such_module.run", 60)
    assert jobs.run_due(at) == ["bad", "good"]
    assert names() == ["good"]
    assert not JobRun.objects.get(name="bad").ok


def test_a_job_can_be_run_by_force_and_only_then_before_its_time(db, at):
    jobs.run_due(at)
    RAN.clear()
    assert jobs.run_job("good", at) is None
    assert names() == []
    assert jobs.run_job("good", at, force=True).ok
    assert names() == ["good"]


def test_a_job_that_is_running_does_not_start_again(db, at):
    jobs.run_due(at)
    Job.objects.update(runner="other", leased_until=clock.real_now() + MINUTE)
    RAN.clear()
    assert jobs.run_due(at + 400 * 24 * 60 * MINUTE) == []
    assert jobs.run_job("good", at, force=True) is None
    assert names() == []


def test_a_job_of_a_killed_runner_starts_again(db, at):
    jobs.run_due(at)
    Job.objects.update(runner="killed", leased_until=clock.real_now() - timedelta(seconds=1))
    assert jobs.run_due(at + MINUTE) == ["bad", "good"]
    assert set(Job.objects.values_list("runner", "leased_until")) == {("", None)}


def test_a_runner_that_lost_its_lease_says_so_and_frees_nothing(db, at, monkeypatch, caplog):
    def stolen(*, at):
        Job.objects.filter(name="good").update(runner="other")
        return 0

    monkeypatch.setattr(f"{__name__}.good", stolen)
    jobs.run_job("good", at)
    assert Job.objects.get(name="good").runner == "other"
    assert "lost its lease" in caplog.text


def test_the_lease_is_renewed_while_the_work_lasts(transactional_db, at, monkeypatch):
    monkeypatch.setattr(jobs, "RENEW_S", 0.02)
    seen = []

    def watch(*, at):
        for _ in range(2):
            seen.append(Job.objects.get(name="good").leased_until)
            time.sleep(0.2)
        return 0

    monkeypatch.setattr(f"{__name__}.good", watch)
    before = set(threading.enumerate())  # an imitated WeChat may run beside us
    jobs.run_job("good", at)
    assert seen[0] < seen[1]
    assert set(threading.enumerate()) <= before


def test_a_job_outside_the_schedule_is_left_alone(db, at):
    Job.objects.create(name="removed", created_at=at, next_at=at)
    jobs.run_due(at)
    assert jobs.overdue(at + 100 * MINUTE) == ["bad", "good"]
    assert not JobRun.objects.filter(name="removed").exists()


def test_what_never_ran_or_never_succeeds_is_overdue(db, at):
    assert jobs.overdue(at) == ["bad", "good"]
    jobs.run_due(at)
    assert jobs.overdue(at) == []
    for minute in (1, 2, 3):
        jobs.run_due(at + minute * MINUTE)
    assert jobs.overdue(at + 3 * MINUTE) == []
    assert jobs.overdue(at + 3 * MINUTE + timedelta(seconds=1)) == ["bad"]
    assert jobs.overdue(at + 6 * MINUTE + timedelta(seconds=1)) == ["bad", "good"]


def test_old_records_are_forgotten_and_nothing_else(db, at):
    JobRun.objects.create(name="good", started_at=at - timedelta(days=14, seconds=1))
    JobRun.objects.create(name="good", started_at=at - timedelta(days=14))
    assert jobs.prune_runs(at=at) == 1
    assert JobRun.objects.get().started_at == at - timedelta(days=14)


def test_the_task_runs_what_is_due(db):
    run_due_jobs()
    assert names() == ["bad", "good"]


def test_the_command_looks_once(db):
    out = io.StringIO()
    call_command("tick", stdout=out)
    assert out.getvalue().split() == ["bad", "good"]
    assert names() == ["bad", "good"]


def test_a_signal_ends_the_command_after_the_running_job(db, monkeypatch):
    def interrupted(*, at):
        signal.raise_signal(signal.SIGTERM)
        RAN.append(("interrupted", at))

    monkeypatch.setattr(f"{__name__}.bad", interrupted)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        call_command("tick", forever=True, every=0.01, stdout=io.StringIO())
    finally:
        for number, action in before.items():
            signal.signal(number, action)
    assert names() == ["interrupted"]
    assert JobRun.objects.get().ok


def test_the_loop_ends_when_it_is_told_to_and_bears_a_lost_database(db, monkeypatch):
    stop, looks = threading.Event(), []

    def look(at):
        looks.append(at)
        if len(looks) == 1:
            raise OperationalError("gone")
        if len(looks) == 3:
            stop.set()
        return ["good"]

    monkeypatch.setattr(jobs, "due", look)
    monkeypatch.setattr(jobs, "run_job", lambda name, at: True)
    monkeypatch.setattr(connection, "close", lambda: None)
    told = []
    jobs.run_until(stop, every_s=0, tell=told.append)
    assert (told, len(looks)) == (["good"], 3)


def test_every_path_of_the_real_schedule_leads_somewhere():
    for path, seconds in import_string("distro.settings.SCHEDULE").values():
        assert callable(import_string(path))
        assert seconds > 0


@pytest.mark.postgres
def test_a_job_that_loses_the_database_does_not_stop_the_others(transactional_db, at, monkeypatch):
    def cut(*, at):
        connection.cursor().execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(f"{__name__}.bad", cut)
    assert jobs.run_due(at) == ["bad", "good"]
    assert not JobRun.objects.get(name="bad").ok
    assert JobRun.objects.get(name="good").ok


@pytest.mark.postgres
def test_of_eight_runners_one_runs(run_threads, at, schedule):
    schedule.clear()
    schedule["slow"] = (f"{__name__}.slow", 60)
    runs = list(run_threads(8, lambda number: jobs.run_job("slow", at)))
    assert len([run for run in runs if run]) == 1
    assert names() == ["slow"]
    assert JobRun.objects.count() == 1
