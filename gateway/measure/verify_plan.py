"""The plan of one verification: every option with its default, checked before anything runs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from gateway.api import ConfigError
from gateway.measure.gateway_process import GatewayOptions
from gateway.measure.service_area import AreaRules, Reading
from gateway.wan import PROFILES, PathModel


@dataclass(frozen=True, slots=True)
class VerifyPlan:
    """Every option of one verification. ``url`` empty: a gateway is started from the rest;
    else it is taken as it is and the network options say what it is believed to emulate."""

    url: str = ""
    admin_url: str = ""
    sites: Literal["all", "core"] = "all"
    fleet: Path | None = None
    models: tuple[Path, ...] = ()
    model: str = "blast-furnace"
    policy: str = ""
    profile: str = "cloud"
    border_ms: float = 60.0
    last_mile_ms: float = 0.0
    jitter: bool = True
    seed: int = 1
    reading: Reading = "round-trip"
    target_ms: float = 10.0
    service_budget_ms: float = 1.0
    objective: float = 0.99
    rate: float = 200.0
    duration_s: float = 60.0
    warmup_s: float = 5.0
    others_share: float = 0.15
    """Share of the requests that comes from cities outside the service area."""
    wire: Literal["binary", "json"] = "binary"
    """How tensors are sent: binary as ``tritonclient`` does by default, or as JSON numbers."""
    gateway_delay_ms: float = 0.0
    """Damage planted in the gateway, to see that the verdict can fail."""
    chaos: Path | None = None
    """A plan of faults that happens meanwhile; every center then runs outside the gateway."""

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ConfigError(f"profile {self.profile!r}; expected one of {', '.join(PROFILES)}")
        if not 0.0 < self.objective < 1.0:
            raise ConfigError(f"objective {self.objective:g}; expected a share such as 0.99")
        if not 0.0 <= self.others_share < 1.0:
            raise ConfigError(f"others_share {self.others_share:g}; expected 0 or more, below 1")
        if not (self.rate > 0.0 and self.duration_s >= 1.0 and self.warmup_s >= 0.0):
            raise ConfigError(
                f"rate {self.rate:g}/s, duration {self.duration_s:g} s, warm-up "
                f"{self.warmup_s:g} s; expected a rate above 0, a duration of 1 s or more and a "
                "warm-up of 0 s or more"
            )
        if self.url and (self.gateway_delay_ms or self.policy):
            raise ConfigError(
                "a policy or a planted delay can be set for a gateway that is started here, not "
                f"for the one at {self.url}; leave out --url, or set it in that gateway's config"
            )

        if self.chaos is not None and (self.url or self.wire != "binary"):
            raise ConfigError(
                "--chaos starts its own centers and gateway and compares binary answers; leave out "
                "--url and --wire json"
            )

    @property
    def path_model(self) -> PathModel:
        """The path model the area is surveyed with."""
        return PathModel(
            PROFILES[self.profile], border_ms=self.border_ms, last_mile_ms=self.last_mile_ms
        )

    @property
    def gateway_options(self) -> GatewayOptions:
        """The part that is the gateway's config."""
        shared = {field.name for field in fields(GatewayOptions)}
        return GatewayOptions(**{name: getattr(self, name) for name in shared})

    def rules(self, reading: Reading) -> AreaRules:
        """The area's rules in one reading of the target."""
        return AreaRules(self.target_ms, self.service_budget_ms, reading, self.seed, self.jitter)

    def command(self) -> str:
        """The command line that repeats this verification; defaults left out."""
        words = ["nearway", "verify"]
        for field in fields(self):
            value = getattr(self, field.name)
            if value == field.default:
                continue
            flag = "--" + field.name.removesuffix("_s").replace("_", "-")
            if value is False:
                words.append("--no-" + flag[2:])
            else:
                values = value if isinstance(value, tuple) else (value,)
                words += [word for one in values for word in (flag, _word(one))]
        return shlex.join(words)


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
