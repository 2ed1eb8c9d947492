"""Spans out of the process: to an OpenTelemetry collector over OTLP, or to a file.

The only module that knows OpenTelemetry's SDK, which is imported when the first exporter is
made: who traces nothing needs none of it. An exporter is called from one thread at a time, never
from the loop. A destination that fails costs the spans of the batch; that it fails is logged
once, and once that it works again.

Environment variables of the SDK count where the config has no word for it: headers and
certificates (``OTEL_EXPORTER_OTLP_HEADERS``, ``..._CERTIFICATE``) and
``OTEL_RESOURCE_ATTRIBUTES``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from gateway import __version__
from gateway.api import ConfigError
from gateway.telemetry.appended_file import AppendedFile
from gateway.telemetry.spans import Span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

log = logging.getLogger("nearway.traces")

KEY: Final = "telemetry.traces"
TRACES_PATH: Final = "/v1/traces"
EXPORT_TIMEOUT_S: Final = 2.0


class _Destination(Protocol):
    def send(self, spans: Sequence[ReadableSpan]) -> None:
        """Raises OSError."""

    def hurry(self) -> None:
        """Try nothing again; may be called while something is sent."""

    def close(self) -> None:
        """Nothing is sent any more, and nothing is being sent."""


class SpanExport:
    """Exports to ``destination``: an http(s) URL of an OTLP receiver, or a path.

    ``service``: the name the spans' resource bears. Raises ConfigError when OpenTelemetry is not
    installed or the destination cannot be used.
    """

    def __init__(self, destination: str, service: str, instance: str) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        except ImportError as error:
            raise not_installed(error) from None
        self.exported = 0
        self.dropped = 0
        self._failing = False
        self._scope = InstrumentationScope("nearway", __version__)
        self._resource = Resource.create(
            {
                "service.name": service,
                "service.version": __version__,
                "service.instance.id": instance,
            }
        )
        self._destination: _Destination
        if destination.startswith(("http://", "https://")):
            self._destination = _Otlp(destination)
        elif "://" in destination:
            raise ConfigError(
                f'{KEY} = "{destination}": expected http:// or https:// and the host of an OTLP '
                "receiver (over HTTP, mostly at port 4318), or a path"
            )
        else:
            self._destination = _File(Path(destination))

    def export(self, spans: Sequence[Span], epoch_s: float) -> None:
        """Send a batch; never raises for what the destination does. ``epoch_s``: what is added to
        the spans' clock to make it seconds since the epoch.
        """
        if not spans:
            return
        try:
            self._destination.send([self._readable(span, epoch_s) for span in spans])
        except OSError as error:
            self.dropped += len(spans)
            if not self._failing:
                log.warning("traces are dropped: %s", error)
            self._failing = True
            return
        self.exported += len(spans)
        if self._failing:
            log.warning("traces are exported again; %d spans were dropped", self.dropped)
        self._failing = False

    def hurry(self) -> None:
        """The process stops: a destination that fails is not waited for. From any thread."""
        if self._failing:
            self._destination.hurry()

    def close(self) -> None:
        """Nothing is exported any more."""
        self._destination.close()

    def _readable(self, span: Span, epoch_s: float) -> ReadableSpan:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        kinds = {
            "server": SpanKind.SERVER,
            "client": SpanKind.CLIENT,
            "internal": SpanKind.INTERNAL,
        }
        sampled = TraceFlags(TraceFlags.SAMPLED)
        parent = None
        if span.parent_id:
            parent = SpanContext(span.trace_id, span.parent_id, span.remote, sampled)
        return ReadableSpan(
            span.name,
            SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=sampled),
            parent,
            self._resource,
            span.attributes,
            kind=kinds[span.kind],
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
            start_time=round((span.start_s + epoch_s) * 1e9),
            end_time=round((span.end_s + epoch_s) * 1e9),
            instrumentation_scope=self._scope,
        )


class _Otlp:
    """OTLP over HTTP, protobuf. The SDK tries again by itself, within ``EXPORT_TIMEOUT_S``."""

    def __init__(self, url: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ImportError as error:
            raise not_installed(error) from None
        if not urlsplit(url).netloc:
            raise ConfigError(f'{KEY} = "{url}" has no host; expected http://host:4318')
        endpoint = url if urlsplit(url).path.strip("/") else url.rstrip("/") + TRACES_PATH
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # told once, by us
        self._endpoint = endpoint
        self._exporter = OTLPSpanExporter(endpoint, timeout=EXPORT_TIMEOUT_S)

    def send(self, spans: Sequence[ReadableSpan]) -> None:
        from opentelemetry.sdk.trace.export import SpanExportResult

        if self._exporter.export(spans) is not SpanExportResult.SUCCESS:
            raise OSError(
                f"{self._endpoint} took none of {len(spans)} spans; is a collector there?"
            )

    def hurry(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self.hurry()


class _File:
    """A line of JSON a span, as the SDK's console exporter writes it."""

    def __init__(self, path: Path) -> None:
        self._file = AppendedFile(path, KEY)

    def send(self, spans: Sequence[ReadableSpan]) -> None:
        self._file.append("".join(f"{span.to_json(indent=None)}\n" for span in spans).encode())

    def hurry(self) -> None:
        """A disk answers at once."""

    def close(self) -> None:
        self._file.close()


def not_installed(error: ImportError) -> ConfigError:
    """OpenTelemetry is an extra."""
    return ConfigError(
        f"{KEY} is set, and {error.name or 'opentelemetry'} is not installed; "
        "pip install 'nearway[otel]', or leave it empty"
    )
