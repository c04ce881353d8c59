"""The driver: PhysicsNeMo's loop of training, metrology, query and labelling, on Labqueue's queues.

Every phase begins from a checkpoint. What a phase does to the outside (items staged, labels taken, log lines) is one
effect however often the phase is begun, so a driver that was killed anywhere goes on as if it had not been.
"""

from __future__ import annotations

import logging
import uuid
from pathlib import Path
from typing import Any

import torch
from labqueue.client import Client
from labqueue.errors import TooLargeError

from . import checkpoints, rebuild, states
from .checkpoints import Checkpoints, Progress
from .choosing import choose
from .codec import decode
from .config import DriverConfig, StrategiesConfig, TrainingConfig
from .facade import Facade
from .items import labelled_items
from .queues import Counted
from .run import GIVEN_UP, Run
from .runlog import RunLog
from .strategies import keep_records, method, name_of, prepare, records_of, restore_records
from .training import Trainer, parameters_of
from .upstream import Upstream
from .waiting import Enough, label_here, wait

TRAINING, METROLOGY, QUERY, LABELING = ("training", "metrology", "query", "labeling")
INTEGRATION = "data_integration"
#: The queue of runs whose items are labelled by adapters.
SHARED_QUEUE = "physicsnemo"


class Driver(Facade):
    """Runs active learning. The arguments are PhysicsNeMo's; see the configuration classes for what is ours.

    The same `run_id` (and `root_log_dir`) goes on where an earlier process ended; what it appended to the training pool
    is appended to this one's again. checkpoint: a point to go back to, instead of the newest.
    Raises ValueError for what cannot be run so, RuntimeError where another process runs this run_id.
    """

    def __init__(
        self, config: DriverConfig, learner: Any, strategies_config: StrategiesConfig,
        training_config: TrainingConfig | None = None, inference_fn: Any = None, *, checkpoint: Path | None = None,
    ) -> None:  # fmt: skip
        self.config, self.strategies_config, self.training_config = config, strategies_config, training_config
        self.learner, self.inference_fn = learner, inference_fn
        self.current_phase = TRAINING
        self.query_queue, self.label_queue = (
            Counted(strategies_config.queue_cls),
            Counted(strategies_config.queue_cls),
        )
        self._check()
        self._client = Client(config.url, config.token, retry_for=600.0)
        self._on_server: Run | None = None
        self._progress = Progress(config.run_id)
        self._points = Checkpoints(self.log_dir / "checkpoints")
        self._upstream = self._open_upstream()
        newest, unsent = self._newest(fetch=checkpoint is None)
        self._log = RunLog(self._log_path, lambda: (self._progress.step, self.current_phase))
        self._setup_logger()
        if hasattr(learner, "to"):
            learner.to(self.device)
        self._trainer = Trainer(config, training_config, learner, self.device)
        self.attach_strategies()
        self._point = checkpoint or newest
        self._resuming = self._point is not None
        if self._point is not None:
            self._restore(self._point)
        if unsent:
            self._send(None)

    @property
    def dist_manager(self) -> Any:
        return self.config.dist_manager

    @property
    def device(self) -> torch.device:
        """The one that was given, else the learner's."""
        given = getattr(self.config.dist_manager, "device", None) or self.config.device
        if given is not None:
            return torch.device(given)
        first = next(iter(parameters_of(self.learner)), None)
        return torch.get_default_device() if first is None else first.device

    @property
    def run_id(self) -> str:
        return self.config.run_id

    @property
    def short_run_id(self) -> str:
        """The first eight letters of a UUID; any other name whole, as two runs may begin alike."""
        try:
            return self.run_id[:8] if str(uuid.UUID(self.run_id)) == self.run_id else self.run_id
        except ValueError:
            return self.run_id

    @property
    def log_dir(self) -> Path:
        return Path(self.config.root_log_dir) / self.short_run_id

    @property
    def _log_path(self) -> Path:
        return self.log_dir / f"{self.run_id}.log"

    @property
    def last_checkpoint(self) -> Path | None:
        return self._point

    @property
    def active_learning_step_idx(self) -> int:
        return self._progress.step

    @active_learning_step_idx.setter
    def active_learning_step_idx(self, value: int) -> None:
        if value < 0:
            raise ValueError("The step cannot be negative.")
        self._progress.step = value

    @property
    def given_up(self) -> dict[int, str]:
        """Items that ended without a label, and why. A person can replay them; their labels are taken then."""
        return dict(self._progress.given_up)

    @property
    def outstanding(self) -> int:
        """How many chosen items have no label yet."""
        return len(self._progress.pending)

    @property
    def optimizer(self) -> Any:
        return self._trainer.optimizer

    @property
    def lr_scheduler(self) -> Any:
        return self._trainer.scheduler

    @property
    def is_optimizer_configured(self) -> bool:
        return self.optimizer is not None

    @property
    def is_lr_scheduler_configured(self) -> bool:
        return self.lr_scheduler is not None

    # -- set up

    def attach_strategies(self) -> None:
        groups = (
            (QUERY, self.query_strategies),
            (LABELING, [] if self.label_strategy is None else [self.label_strategy]),
            (METROLOGY, self.metrology_strategies or []),
        )
        for phase, strategies in groups:
            for each in strategies:
                prepare(each, self, self.logger, self.log_dir / phase)

    def _setup_logger(self) -> None:
        self.logger = logging.getLogger(f"labqueue_physicsnemo.{self.run_id.replace('.', '_')}")
        self.logger.setLevel(logging.INFO)
        self.logger.propagate = False
        for handler in list(self.logger.handlers):
            self.logger.removeHandler(handler)
            handler.close()
        shown = logging.StreamHandler()
        shown.setLevel(logging.WARNING)
        self.logger.addHandler(shown)
        self.logger.addHandler(self._log)
        sdk = logging.getLogger("labqueue")
        if sdk.level == logging.NOTSET:
            # Every labelling phase is a serve loop of its own, and says so.
            sdk.setLevel(logging.WARNING)

    def _check(self) -> None:
        config, training = self.config, self.training_config
        if training is None and not config.skip_training:
            raise ValueError("training_config is needed, unless skip_training is true.")
        if not config.skip_labeling and self.train_datapool is None:
            raise ValueError(
                "training_config.train_datapool is needed: labels are appended to it. Or set skip_labeling."
            )
        if (
            config.fine_tuning_lr
            and training is not None
            and training.fine_tuning_optimizer_config is not None
        ):
            raise ValueError("Give fine_tuning_lr or fine_tuning_optimizer_config, not both.")

    # -- the loop

    def __call__(
        self, train_step_fn: Any = None, validate_step_fn: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        self.run(train_step_fn, validate_step_fn, *args, **kwargs)

    def run(self, train_step_fn: Any = None, validate_step_fn: Any = None, *args: Any, **kwargs: Any) -> None:
        """Steps until the last one, or until a criterion of the configuration ends the run; the log says which."""
        while self.active_learning_step_idx < self.config.max_active_learning_steps:
            reason = self.stop_reason() if self._progress.phase == TRAINING else None
            if reason is not None:
                self.logger.info("The run ends: %s", reason)
                break
            self.active_learning_step(train_step_fn, validate_step_fn, *args, **kwargs)
        if self._progress.given_up:
            self.logger.warning(
                "%d items have no label: `labqueue experiments %s --state failed` shows them, `labqueue restage` gives them "
                "another round.", len(self._progress.given_up), self._campaign,
            )  # fmt: skip

    def stop_reason(self) -> str | None:
        """Why nothing more is to be learnt; None while there is."""
        config, progress = self.config, self._progress
        if config.label_budget is not None and progress.chosen >= config.label_budget:
            return f"{progress.chosen} items were chosen, the budget is {config.label_budget}."
        if config.stop_when_exhausted and progress.exhausted and not progress.pending:
            return "no strategy chooses anything any more."
        plateau = config.plateau
        if plateau is not None and plateau.reached(plateau.values(self.metrology_strategies or [])):
            return f"{plateau.metric} got no better for {plateau.patience} steps."
        return None

    def active_learning_step(
        self, train_step_fn: Any = None, validate_step_fn: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        """One step; after a restart, what is left of it."""
        if self._point is None:
            self._save(changed=True)
        progress, config = self._progress, self.config
        if progress.phase == TRAINING:
            if not config.skip_training:
                self._begin(TRAINING)
                folder = self._points.path(progress.step, TRAINING)
                epochs = folder if self._resuming else None
                self._trainer.train(
                    progress.step, train_step_fn, validate_step_fn, kwargs, keep=folder, resume=epochs
                )
            self._next(METROLOGY, changed=not config.skip_training)
        if progress.phase == METROLOGY:
            if not config.skip_metrology:
                self._begin(METROLOGY)
                self._measure(args, kwargs)
            self._next(QUERY)
        if progress.phase == QUERY:
            self._begin(QUERY)
            self._query(args, kwargs)
            self._next(LABELING)
        if progress.phase == LABELING:
            self._begin(LABELING)
            self._label(args, kwargs)
            progress.step += 1
            self._next(TRAINING)

    def _begin(self, phase: str) -> None:
        self.current_phase = phase
        self.logger.info("step %d: %s", self._progress.step, phase)

    def _next(self, phase: str, *, changed: bool = False) -> None:
        self._progress.phase = phase
        self._save(changed=changed)
        self._log.caught_up()
        self._resuming = False

    # -- metrology, query, labelling

    def _measure(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for each in self.metrology_strategies or []:
            method(each, "compute")(*args, **kwargs)
            folder = self.log_dir / METROLOGY / name_of(each) / f"step_{self._progress.step}"
            keep_records(each, folder)

    def _query(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        progress = self._progress
        most = None if self.config.label_budget is None else self.config.label_budget - progress.chosen
        chosen = choose(self, self._run.client, set(progress.pending.values()), most, args, kwargs)
        progress.outbox = [each.payload for each in chosen]
        progress.digests = [each.digest for each in chosen]
        progress.chosen += len(chosen)
        progress.exhausted = not chosen

    def _label(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        progress, config = self._progress, self.config
        if progress.outbox:
            key, reason = f"step-{progress.step}", f"chosen at step {progress.step}"
            numbers = self._run.stage(key, progress.outbox, reason)
            progress.pending.update(zip(numbers, progress.digests))
        progress.outbox, progress.digests = None, []
        if config.skip_labeling:
            return
        enough = Enough(self._run, len(progress.pending), config.wait_for_share, config.wait_at_most)
        if self.label_strategy is None:
            wait(enough, self._run, self.logger)
        else:
            folder, make = self.log_dir / LABELING / "attempts", self.strategies_config.queue_cls
            folder.mkdir(parents=True, exist_ok=True)
            label_here(enough, self._run, self.label_strategy, folder, make, (args, kwargs), config.token)
        self.current_phase = INTEGRATION
        self._integrate()

    def _integrate(self) -> None:
        """Appends every label that has come, in the order in which the items were chosen."""
        progress, before = self._progress, len(self._progress.appended)
        for label in self._run.labels(sorted({*progress.pending, *progress.given_up})):
            number = label.experiment
            if label.items is not None:
                self._points.keep_label(number, label.text)
                self._append(label.items)
                progress.appended[number] = label.sha256
                progress.pending.pop(number, None)
                progress.given_up.pop(number, None)
            elif number in progress.pending and (label.state in GIVEN_UP or label.state == "completed"):
                progress.given_up[number] = label.reason
                del progress.pending[number]
                self.logger.error("%s has no label (%s): %s", label.code, label.state, label.reason)
            elif label.state in ("held", "partial"):
                self.logger.warning("%s waits for a person: `labqueue decide %s ...`", label.code, label.code)
        self.logger.info(
            "step %d: %d labels appended, %d outstanding, %d given up", progress.step, len(progress.appended) - before,
            len(progress.pending), len(progress.given_up),
        )  # fmt: skip

    def _append(self, items: Any) -> None:
        for each in items:
            self.label_queue.put(each)
        for each in self.label_queue.drain():
            self.train_datapool.append(each)

    # -- the server

    @property
    def _campaign(self) -> str:
        return f"physicsnemo-{self.run_id}"

    @property
    def _run(self) -> Run:
        if self._on_server is None:
            config = self.config
            own = self._campaign if self.label_strategy is not None else SHARED_QUEUE
            self._on_server = Run(
                self._client,
                self._campaign,
                config.queue or own,
                lease=config.lease_seconds,
                attempts=config.label_attempts,
            )
        return self._on_server

    # -- checkpoints

    def save_checkpoint(self) -> Path:
        """Writes where the run is now; it does so by itself before each phase."""
        self._save(changed=True)
        assert self._point is not None
        return self._point

    def _save(self, *, changed: bool) -> None:
        """changed: the model is not as it was at the point before."""
        progress, before = self._progress, self._point
        progress.records = [records_of(each) for each in self.metrology_strategies or []]
        progress.log_bytes = self._log.size()
        about = {
            "config": self.config.to_json(),
            **rebuild.described(self.strategies_config, self.training_config),
        }
        same = None if changed else before
        progress.point = uuid.uuid4().hex
        if self._upstream is not None:
            progress.base = self._upstream.revision
        self._point = self._points.save(
            progress, about, self.learner, self.optimizer, self.lr_scheduler, same
        )
        self._send(same)
        if before is not None and before != self._point and not self._kept(before):
            self._points.drop(before)

    def _kept(self, point: Path) -> bool:
        config, phase, step = self.config, point.name, int(point.parent.name.rpartition("_")[2])
        wanted = {
            TRAINING: config.checkpoint_on_training or config.model_checkpoint_frequency > 0,
            METROLOGY: config.checkpoint_on_metrology,
            QUERY: config.checkpoint_on_query,
            LABELING: config.checkpoint_on_labeling,
        }
        return wanted[phase] and config.checkpoint_interval > 0 and step % config.checkpoint_interval == 0

    # -- checkpoints on the server

    def _open_upstream(self) -> Upstream | None:
        scratch = self._points.folder / ".fetched"
        return (
            Upstream(self._client, self._campaign, self.run_id, scratch)
            if self.config.keep_on_server
            else None
        )

    def _newest(self, *, fetch: bool) -> tuple[Path | None, bool]:
        """The newest point, fetched to here where it is the server's, and whether it is still to be sent there."""
        here, upstream = self._points.latest(), self._upstream
        self._grown = True
        if upstream is None or upstream.body is None:
            return here, fetch and here is not None
        known = None if here is None else self._read(here)
        if known is not None and (upstream.has(known) or upstream.follows(known)):
            return here, fetch and not upstream.has(known)
        # Another machine has gone on since this folder was written, or it is empty.
        if not fetch:
            self._grown = False
            return here, False
        point = upstream.fetch(self._points, self._log_path)
        if here is not None and here != point and not self._kept(here):
            self._points.drop(here)
        return point, False

    def _send(self, unchanged: Path | None) -> None:
        """Makes the newest point the server's. unchanged: an earlier one with the same model and optimizer."""
        upstream, point = self._upstream, self._point
        if upstream is None or point is None:
            return
        assert self._run is not None  # its campaign has the folder
        try:
            upstream.send(point, self._progress, self._log_path, unchanged, grown=self._grown)
            self._grown = True
        except TooLargeError as error:
            self._upstream = None
            self.logger.warning(
                "Checkpoints are from here on only in %s: a file of them is larger than the server takes (%s). Its "
                "administrator can raise LABQUEUE_FILE_LIMIT.", self._points.folder, error,
            )  # fmt: skip

    def _read(self, point: Path) -> Progress:
        body = checkpoints.read(point)
        if body["run_id"] != self.run_id:
            raise ValueError(f"{point} belongs to run {body['run_id']!r}, not {self.run_id!r}.")
        return Progress.from_json(body)

    def _restore(self, point: Path) -> None:
        progress = self._progress = self._read(point)
        # A point before a training holds the optimizer of the training before.
        self._trainer.prepare(progress.step - (1 if progress.phase == TRAINING else 0))
        states.restore_model(self.learner, states.load(point / states.MODEL))
        states.restore_training(self.optimizer, self.lr_scheduler, states.load(point / states.TRAINING))
        for strategy, records in zip(self.metrology_strategies or [], progress.records):
            if records is not None:
                restore_records(strategy, decode(records))
        for number, sha256 in progress.appended.items():
            self._append(labelled_items(self._points.label(number, sha256, self._client.artifact)))
        self._log.resume(progress.log_bytes)
        # Last: what pools and strategies drew while they were made again is forgotten.
        states.restore_rng(states.load(point / states.RNG))

    @classmethod
    def load_checkpoint(
        cls, checkpoint_path: str | Path, learner: Any = None, train_datapool: Any = None, val_datapool: Any = None,
        unlabeled_datapool: Any = None, **kwargs: Any,
    ) -> Driver:  # fmt: skip
        """A driver that goes on from this point, with pools as they were before the run.

        kwargs: strategies_config, training_config, inference_fn, and any field of DriverConfig. Strategies that are not
        given are made again from the names and arguments in the checkpoint; ValueError says where they must be given.
        """
        point = Path(checkpoint_path).absolute()
        body = checkpoints.read(point)
        if learner is None:
            raise ValueError("Give the learner: a checkpoint holds its state, and no code.")
        strategies = kwargs.pop("strategies_config", None) or rebuild.strategies_from(
            body, unlabeled_datapool
        )
        training = kwargs.pop("training_config", None) or rebuild.training_from(
            body, train_datapool, val_datapool
        )
        inference = kwargs.pop("inference_fn", None)
        config = DriverConfig.from_json(body["config"], **kwargs)
        return cls(config, learner, strategies, training, inference, checkpoint=point)

    def close(self) -> None:
        """Closes log and lock; another driver of this run_id may begin."""
        self.logger.removeHandler(self._log)
        self._log.close()
        self._points.close()
