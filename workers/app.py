"""The Celery app of a worker: JSON only, no answers, nothing kept in Redis that matters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from celery import Celery, signals

from services.broker.commands import COMMANDS, configuration, task_name
from services.settings import Settings
from workers import inquiries, notifier, suggester, trainer
from workers.bootstrap import Context
from workers.tasks import Command, Contexts

log = structlog.get_logger(__name__)

VERBS: dict[str, Callable[[Context, Any], None]] = {
    "train": trainer.train,
    "suggest": suggester.suggest,
    "inquire": inquiries.inquire,
    "notify": notifier.notify,
}
assert set(VERBS) == set(COMMANDS)

#: Those that need a model, and so torch.
LEARNING = ("train", "suggest", "inquire")


def create_app(settings: Settings) -> Celery:
    """The app with every command's task."""
    app = Celery("labqueue", set_as_current=False)
    app.conf.update(configuration(settings))
    app.conf.update(
        # No command is taken before the last one is over: another worker may be free for it.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        # A lost child is not told to Celery: a task that kills its worker would go round for ever. The flow
        # counts the deaths and the janitor sends again what is still due.
        task_reject_on_worker_lost=False,
        # Or a training would die at each hiccup of Redis.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        # Importing torch takes several seconds on a busy machine.
        worker_proc_alive_timeout=120.0,
        # KiB, after which a pool process makes room for a fresh one at the end of its command.
        worker_max_memory_per_child=3_000_000,
    )
    contexts = Contexts(settings)
    for name, verb in VERBS.items():
        app.register_task(Command(name, verb, contexts))
    return app


def warm_up(app: Celery, queues: tuple[str, ...]) -> None:
    """Have each pool process load what its commands need before the first of them comes."""

    def load(**_: object) -> None:
        for name in LEARNING:
            if name in queues:
                task: Command = app.tasks[task_name(name)]
                log.info("ready", command=name, device=task.context.learner.device(0))

    signals.worker_process_init.connect(load, weak=False)
