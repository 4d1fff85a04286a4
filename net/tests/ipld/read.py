"""Reads CAR files with dag-cbor and multiformats; prints what read.mjs prints."""

import hashlib
import sys

import dag_cbor
from multiformats import CID


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


for name in sys.argv[1:]:
    with open(name, "rb") as file:
        data = file.read()
    size, at = varint(data, 0)
    assert dag_cbor.decode(data[at : at + size])["version"] == 1
    at += size
    while at < len(data):
        size, at = varint(data, at)
        cid, block = CID.decode(data[at : at + 36]), data[at + 36 : at + size]
        at += size
        assert cid.raw_digest == hashlib.sha256(block).digest(), f"{cid} is another block"
        line = str(cid.set(base="base32"))
        if cid.codec.name == "dag-cbor":
            value = dag_cbor.decode(block)
            assert dag_cbor.encode(value) == block, f"{cid} is not canonical"
            line += " " + str(value["body"].set(base="base32"))
        print(line)
