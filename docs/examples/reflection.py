"""A gRPC client that knows no .proto file, as grpcurl: it asks the gateway what calls there are.

pip install grpcio-reflection; python reflection.py [host:port]

With grpcurl itself:

    grpcurl -plaintext 127.0.0.1:8001 list
    grpcurl -plaintext -d '{"name": "blast-furnace"}' 127.0.0.1:8001 \
        inference.GRPCInferenceService/ModelMetadata
"""

import sys

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8001"
with grpc.insecure_channel(address) as channel:
    known = ProtoReflectionDescriptorDatabase(channel)
    print(*known.get_services())
    service = DescriptorPool(known).FindServiceByName("inference.GRPCInferenceService")
    method = service.FindMethodByName("ModelMetadata")
    asked, told = map(message_factory.GetMessageClass, (method.input_type, method.output_type))
    call = channel.unary_unary(
        f"/{service.full_name}/{method.name}", asked.SerializeToString, told.FromString
    )
    print(json_format.MessageToJson(call(asked(name="blast-furnace"), timeout=10), indent=None))
