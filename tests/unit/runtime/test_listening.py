"""What is announced is whole, and says where to ask."""

import json
import os
from pathlib import Path

from gateway.runtime.listening import Listening, announce_to


def test_an_announcement_is_whole_or_absent(tmp_path: Path) -> None:
    file = tmp_path / "announce.json"
    announce_to(file, Listening("http://h:1", "http://h:2", 88, ("m",)))
    told = json.loads(file.read_text())
    assert told == {"url": "http://h:1", "admin_url": "http://h:2", "pid": os.getpid()}
    assert list(tmp_path.iterdir()) == [file]


def test_the_grpc_door_is_told_where_there_is_one(tmp_path: Path) -> None:
    file = tmp_path / "announce.json"
    announce_to(file, Listening("http://h:1", "http://h:2", 88, ("m",), "h:3"))
    assert json.loads(file.read_text())["grpc"] == "h:3"
