"""The messages are the proto file's, and their names and numbers those of the public protocol."""

from __future__ import annotations

import subprocess
import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor

from gateway.serving.grpc_door import messages
from gateway.serving.grpc_door.messages import DESCRIPTORS, POOL, SERVICE, message

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tritonclient.grpc import service_pb2


def fields(descriptor: Any) -> dict[str, tuple[int, int, bool]]:
    return {
        field.name: (field.number, field.type, field.is_repeated) for field in descriptor.fields
    }


def every(descriptor: Any) -> dict[str, Any]:
    nested = [every(child) for child in descriptor.nested_types]
    return {descriptor.full_name: descriptor, **{k: v for one in nested for k, v in one.items()}}


def ours() -> dict[str, Any]:
    file = POOL.FindFileByName("inference.proto")
    told = [every(each) for each in file.message_types_by_name.values()]
    return {name: descriptor for one in told for name, descriptor in one.items()}


def test_every_field_is_the_protocols_with_its_number_and_type() -> None:
    theirs: dict[str, Any] = {}
    for module in (service_pb2, sys.modules["tritonclient.grpc.model_config_pb2"]):
        for descriptor in module.DESCRIPTOR.message_types_by_name.values():
            theirs |= every(descriptor)
    for name, descriptor in ours().items():
        if name not in theirs:
            assert name.endswith("PropertiesEntry")  # as below
            continue
        known = fields(theirs[name])
        if name == "inference.ModelMetadataResponse":  # the open protocol has it, Triton has not
            known["properties"] = (6, FieldDescriptor.TYPE_MESSAGE, True)
        assert fields(descriptor).items() <= known.items(), name


def test_every_method_is_the_protocols_and_takes_what_it_takes() -> None:
    theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    for method in POOL.FindServiceByName(SERVICE).methods:
        known = theirs[method.name]
        assert method.input_type.full_name == known.input_type.full_name
        assert method.output_type.full_name == known.output_type.full_name
        assert method.client_streaming == known.client_streaming
        assert method.server_streaming == known.server_streaming


def test_a_message_of_the_clients_package_is_read_as_ours() -> None:
    theirs = service_pb2.ModelInferRequest(model_name="m", id="7")
    theirs.parameters["timeout"].int64_param = 5
    read = messages.ModelInferRequest.FromString(theirs.SerializeToString())
    assert (read.model_name, read.id, read.parameters["timeout"].int64_param) == ("m", "7", 5)


@pytest.mark.parametrize("name", ["grpc_health.v1.health", "grpc_reflection.v1alpha.reflection"])
def test_health_and_reflection_are_grpcs(name: str) -> None:
    theirs = import_module(f"{name}_pb2").DESCRIPTOR
    for known in theirs.message_types_by_name.values():
        found = POOL.FindMessageTypeByName(known.full_name)
        assert fields(found) == fields(known)
        assert {kind.name for kind in known.enum_types} == {kind.name for kind in found.enum_types}
        for kind in known.enum_types:
            told = found.enum_types_by_name[kind.name].values_by_name.items()
            assert {key: value.number for key, value in told} == {
                key: value.number for key, value in kind.values_by_name.items()
            }
    for service in theirs.services_by_name.values():
        methods = POOL.FindServiceByName(service.full_name).methods_by_name
        for method in service.methods:
            found = methods[method.name]
            assert found.input_type.full_name == method.input_type.full_name
            assert found.output_type.full_name == method.output_type.full_name
            assert found.client_streaming == method.client_streaming
            assert found.server_streaming == method.server_streaming


def test_an_unknown_message_is_no_class() -> None:
    with pytest.raises(KeyError):
        message("NoSuchRequest")


@pytest.mark.skipif(find_spec("grpc_tools") is None, reason="grpcio-tools is not installed")
def test_what_is_loaded_is_the_proto_file_compiled(tmp_path: Path) -> None:
    compiled = tmp_path / "compiled"
    folder = DESCRIPTORS.parent
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", "--include_imports"),
            *(f"--descriptor_set_out={compiled}", "inference.proto", "health.proto"),
            *("reflection_v1.proto", "reflection_v1alpha.proto"),
        ],
        check=True,
    )
    read = descriptor_pb2.FileDescriptorSet.FromString
    assert read(compiled.read_bytes()) == read(DESCRIPTORS.read_bytes())
