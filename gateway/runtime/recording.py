"""Traces and the access log as a process owns them: made of its config, written now and then.

Requests leave their records on the loop (``gateway.serving.recording``). Every ``EVERY_S`` a task
takes them and has spans and lines made, sent and written in a thread, one batch at a time; a
batch that is being written when the process stops is written to its end, and what came after it
as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from random import Random
from typing import Final

from gateway.config.settings import Telemetry
from gateway.serving.recording import Recorder
from gateway.telemetry import Recorded
from gateway.telemetry.access_log import AccessLog, Line, LineMaker
from gateway.telemetry.appended_file import AppendedFile
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.span_export import SpanExport
from gateway.telemetry.spans import SpanMaker
from gateway.telemetry.tracer import Tracer

log = logging.getLogger("nearway.access_log")

EVERY_S: Final = 0.5
LOOKS: Final = 3


class Recording:
    """``recorder`` is for the doors. Made, files are open; raises ConfigError for what is wrong.

    ``here``: rows of the centers in this process. ``scorers``: see ``Recorder``. ``center``: this
    is a center process: it continues traces, begins none and writes no access log.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        clock: Callable[[], float],
        *,
        centers: Sequence[str],
        origins: Sequence[str],
        here: Collection[int] = (),
        scorers: Callable[[], tuple[str, ...]] = tuple,
        center: bool = False,
    ) -> None:
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._export: SpanExport | None = None
        self._file: AppendedFile | None = None
        self.tracer: Tracer | None = None
        self.access_log: AccessLog | None = None
        random = Random(os.urandom(16))
        if telemetry.traces:
            service = "nearway-center" if center else "nearway-gateway"
            self._export = SpanExport(telemetry.traces, service, str(os.getpid()))
            share = 0.0 if center else telemetry.traces_share
            per_s_max = telemetry.traces_per_s_max
            self.tracer = Tracer(clock, random, share=share, per_s_max=per_s_max)
            new_span_id = self.tracer.new_span_id
            self._spans = SpanMaker(centers, origins, new_span_id, frozenset(here), center)
        if telemetry.access_log and not center:
            self._file = AppendedFile(Path(telemetry.access_log), "telemetry.access_log")
            self.access_log = AccessLog(random, share=telemetry.access_log_share)
            self._lines = LineMaker(centers, origins)
        self.recorder = Recorder(self.tracer, self.access_log, scorers, clock)
        self._log_fails = False

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._keep_writing(), name="traces and access log")

    async def stop(self) -> None:
        """Write what is left and close."""
        if self._task is not None:
            if self._export is not None:
                self._export.hurry()
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            await self._write()
        if self._export is not None:
            self._export.close()
        if self._file is not None:
            self._file.close()

    def figures(self) -> Recorded:
        """What became of what was recorded, since the config in force was taken over."""
        told = Recorded()
        if self._export is not None:
            told.spans_exported, told.spans_dropped = self._export.exported, self._export.dropped
        if self.tracer is not None:
            told.traces_skipped = self.tracer.over + self.tracer.dropped
        if self.access_log is not None:
            told.access_log_dropped = self.access_log.dropped
        return told

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            writing = asyncio.ensure_future(self._write())
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await writing
                raise
            except Exception:  # the background task: one batch is lost, not all that follow
                log.exception("a batch of traces and access log lines was not written")

    async def _write(self) -> None:
        traced = [] if self.tracer is None else self.tracer.take()
        lines = [] if self.access_log is None else self.access_log.take()
        if traced or lines:
            epoch_s = epoch_of(self._clock)
            await asyncio.to_thread(self._write_batch, traced, lines, epoch_s)

    def _write_batch(
        self, traced: Sequence[RequestRecord], lines: Sequence[Line], epoch_s: float
    ) -> None:
        """In a thread; what the disk or a collector does is no error of the gateway's."""
        if self._file is not None and lines:
            self._append(self._file, self._lines.lines(lines, epoch_s), len(lines))
        if self._export is not None and traced:
            spans = [span for record in traced for span in self._spans.spans(record)]
            self._export.export(spans, epoch_s)

    def _append(self, file: AppendedFile, text: bytes, count: int) -> None:
        try:
            file.append(text)
        except OSError as error:
            assert self.access_log is not None
            self.access_log.dropped += count
            if not self._log_fails:
                log.warning("lines of the access log are dropped: %s", error)
            self._log_fails = True
        else:
            self._log_fails = False


def epoch_of(clock: Callable[[], float], wall: Callable[[], float] = time.time) -> float:
    """What makes instants of ``clock`` seconds since the epoch: of a few looks the one that was
    least held up, since spans of several processes are drawn on one axis.
    """
    looks = []
    for _ in range(LOOKS):
        before, now, after = clock(), wall(), clock()
        looks.append((after - before, now - (before + after) / 2))
    return min(looks)[1]


def recording_of(
    telemetry: Telemetry,
    clock: Callable[[], float],
    *,
    centers: Sequence[str],
    origins: Sequence[str],
    here: Collection[int] = (),
    scorers: Callable[[], tuple[str, ...]] = tuple,
    center: bool = False,
) -> Recording | None:
    """As ``Recording``; None when neither traces nor an access log are configured here."""
    if not telemetry.traces and (center or not telemetry.access_log):
        return None
    return Recording(
        telemetry,
        clock,
        centers=centers,
        origins=origins,
        here=here,
        scorers=scorers,
        center=center,
    )
