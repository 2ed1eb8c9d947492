"""Every arm there is, in the order of the tables.

``DEFAULT`` leaves out what takes long and that nothing is held against; ask for those by name.
"""

from __future__ import annotations

from bench.peers.arms.arm import Arm, Place, Table
from bench.peers.arms.ours import FRAMED, PLAIN, NearwayEmbedded, NearwayProxy
from bench.peers.arms.proxies import Direct, Envoy, HAProxy, Nginx
from bench.peers.arms.routers import LiteLLM, Portkey, SGLangRouter, VLLMRouter
from bench.peers.arms.servers import BentoML, MLServer, RayServe

__all__ = ["ARMS", "DEFAULT", "Arm", "Place", "Table"]

ARMS: tuple[Arm, ...] = (
    Direct(),
    Nginx(),
    HAProxy(),
    Envoy(),
    SGLangRouter(),
    VLLMRouter(),
    LiteLLM(),
    Portkey(),
    NearwayProxy(),
    NearwayEmbedded(),
    MLServer(),
    BentoML(),
    RayServe(),
    FRAMED,
    PLAIN,
)
DEFAULT: tuple[Arm, ...] = tuple(arm for arm in ARMS if arm.name != "Portkey")
